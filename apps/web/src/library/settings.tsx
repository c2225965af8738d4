/** What a person can choose about the page and its answers. */
import type { ReactNode } from 'react';

export function Settings(): ReactNode {
  return null;
}
