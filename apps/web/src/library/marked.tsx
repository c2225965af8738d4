/** A text with what was looked for marked in it. */
import { type ReactNode, useMemo } from 'react';
import { type Piece, piecesOf } from './match.ts';

export function Marked({ text, query }: { readonly text: string; readonly query: string }): ReactNode {
  const pieces = useMemo(() => piecesOf(text, query), [text, query]);
  return <Pieces pieces={pieces} />;
}

export function Pieces({ pieces }: { readonly pieces: readonly Piece[] }): ReactNode {
  // Pieces have no names; their place in the text is what they are.
  // oxlint-disable-next-line react/no-array-index-key
  return pieces.map(({ text, hit }, i) => (hit ? <mark key={i} className="mark">{text}</mark> : text));
}
