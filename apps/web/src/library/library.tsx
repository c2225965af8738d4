/** The history: what the sidebar, or on narrow windows the drawer, holds. */
import type { ReactNode } from 'react';

export function Library(): ReactNode {
  return <div className="library" />;
}
