/** Who asks. Made by the gate, once a request; routes read it from the context and trust it. */

import { type Scope, SCOPES } from '../store/types.ts';

export interface Identity {
  /** `local`: whoever sits at this machine, where no key and no account is asked for. */
  readonly kind: 'local' | 'key' | 'account';
  /** Owner of conversations, of a turn in the queue, and of what is used. */
  readonly id: string;
  /** For people and logs. */
  readonly name: string;
  readonly scopes: readonly Scope[];
}

export const LOCAL: Identity = { kind: 'local', id: 'local', name: 'local', scopes: SCOPES };
/** Nobody in particular, at a route that is open to all. */
export const NOBODY: Identity = { kind: 'local', id: 'nobody', name: 'nobody', scopes: [] };
