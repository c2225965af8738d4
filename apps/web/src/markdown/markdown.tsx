/**
 * Markdown drawn as elements. Nothing a model writes becomes HTML: tags are shown as the text they are, addresses lead only where links.ts
 * lets them, and pictures are links (fetching them would tell their host who reads).
 */
import { memo, type ReactNode, useMemo, useState } from 'react';
import { type Block, blocksOf, closing, GrowingMarkdown, type MathToken, type Token, type Tokens } from './blocks.ts';
import { CodeBlock } from './code-block.tsx';
import { decodeEntities } from './entities.ts';
import { safeHref } from './links.ts';
import { Formula } from './math.tsx';

/** `growing`: more of the text is to come. */
export function Markdown({ text, growing = false }: { readonly text: string; readonly growing?: boolean }): ReactNode {
  const [grown] = useState(() => new GrowingMarkdown());
  const blocks = useMemo(() => {
    if (!growing) return blocksOf(text);
    return grown.update(text + closing(text));
  }, [grown, text, growing]);
  // The page's own heading is h1: an answer's highest are h2, whatever it began with.
  const highest = Math.min(6, ...blocks.flatMap(({ token }) => (token.type === 'heading' ? [(token as Tokens.Heading).depth] : [])));
  return <div className="markdown">{blocks.map((block) => <BlockView key={`${block.start} ${block.token.type}`} block={block} highest={highest} />)}</div>;
}

/** Drawn again only when its own words change. */
const BlockView = memo(
  ({ block, highest }: { readonly block: Block; readonly highest: number }): ReactNode => (
    block.token.type === 'heading' ? drawHeading(block.token as Tokens.Heading, 0, highest) : drawBlock(block.token, 0)
  ),
  (before, after) => (before.block.token === after.block.token || (before.block.token.raw === after.block.token.raw && before.block.token.type === after.block.token.type))
    && (before.highest === after.highest || after.block.token.type !== 'heading'),
);

const blocksIn = (tokens: readonly Token[] | undefined): ReactNode => tokens?.map((token, index) => drawBlock(token, index));
const inline = (tokens: readonly Token[] | undefined): ReactNode => tokens?.map((token, index) => drawInline(token, index));

function drawBlock(token: Token, key: number): ReactNode {
  switch (token.type) {
    // Within quotations and lists: words in bold, as they are no parts of the answer.
    case 'heading': return <p key={key} className={`heading-${(token as Tokens.Heading).depth}`}><strong>{inline(token.tokens)}</strong></p>;
    case 'paragraph': return <p key={key}>{inline(token.tokens)}</p>;
    case 'blockquote': return <blockquote key={key}>{blocksIn(token.tokens)}</blockquote>;
    case 'code': {
      const { text, lang } = token as Tokens.Code;
      return <CodeBlock key={key} code={text} language={lang?.split(/\s/)[0]} />;
    }
    case 'list': return drawList(token as Tokens.List, key);
    case 'table': return drawTable(token as Tokens.Table, key);
    case 'hr': return <hr key={key} />;
    case 'html': return <p key={key}>{(token as Tokens.HTML).text}</p>;
    case 'blockMath': return <Formula key={key} tex={(token as unknown as MathToken).tex} display />;
    case 'space': case 'def': return null;
    default: return drawInline(token, key);
  }
}

function drawHeading(token: Tokens.Heading, key: number, highest: number): ReactNode {
  const Tag = `h${Math.min(6, token.depth - highest + 2)}` as 'h2';
  return <Tag key={key} className={`heading-${token.depth}`}>{inline(token.tokens)}</Tag>;
}

function drawList(token: Tokens.List, key: number): ReactNode {
  const items = token.items.map((item, index) => (
    <li key={index} className={item.task ? 'task' : undefined}>
      {item.loose ? blocksIn(item.tokens) : item.tokens.map((each, at) => (each.type === 'text' ? <span key={at}>{inline((each as Tokens.Text).tokens ?? [each])}</span> : drawBlock(each, at)))}
    </li>
  ));
  return token.ordered ? <ol key={key} start={token.start === '' ? 1 : token.start}>{items}</ol> : <ul key={key}>{items}</ul>;
}

function drawTable(token: Tokens.Table, key: number): ReactNode {
  const align = (cell: Tokens.TableCell): string | undefined => (cell.align === null ? undefined : `align-${cell.align}`);
  return (
    <div key={key} className="table-scroll" tabIndex={0} role="group">
      <table>
        <thead><tr>{token.header.map((cell, index) => <th key={index} scope="col" className={align(cell)}>{inline(cell.tokens)}</th>)}</tr></thead>
        <tbody>{token.rows.map((row, at) => <tr key={at}>{row.map((cell, index) => <td key={index} className={align(cell)}>{inline(cell.tokens)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}

function drawInline(token: Token, key: number): ReactNode {
  switch (token.type) {
    case 'strong': return <strong key={key}>{inline(token.tokens)}</strong>;
    case 'em': return <em key={key}>{inline(token.tokens)}</em>;
    case 'del': return <del key={key}>{inline(token.tokens)}</del>;
    case 'codespan': return <code key={key}>{(token as Tokens.Codespan).text}</code>;
    case 'br': return <br key={key} />;
    case 'link': return drawLink(token as Tokens.Link, key);
    case 'image': {
      const { href, text } = token as Tokens.Image;
      return drawAddress(href, text === '' ? href : text, key);
    }
    case 'checkbox': return <input key={key} type="checkbox" checked={(token as Tokens.Checkbox).checked} readOnly disabled aria-label={(token as Tokens.Checkbox).checked ? '✓' : '–'} />;
    case 'inlineMath': {
      const { tex, display } = token as unknown as MathToken;
      return <Formula key={key} tex={tex} display={display} />;
    }
    case 'text': {
      const { tokens, text } = token as Tokens.Text;
      return tokens ? <span key={key}>{inline(tokens)}</span> : decodeEntities(text);
    }
    case 'escape': return (token as Tokens.Escape).text;
    // Tags, and whatever else there may come to be: as it was written.
    default: return token.raw;
  }
}

const drawLink = (token: Tokens.Link, key: number): ReactNode => drawAddress(token.href, inline(token.tokens), key);

function drawAddress(href: string, words: ReactNode, key: number): ReactNode {
  const address = safeHref(href);
  if (address === null) return <span key={key}>{words}</span>;
  return <a key={key} href={address} target="_blank" rel="noopener noreferrer nofollow">{words}</a>;
}
