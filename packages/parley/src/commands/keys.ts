/** `parley keys`: who may use the server's API. */
import { type Command, Option } from 'commander';
import { keyState, type KeyRecord, type Scope, SCOPES, type UsageTotals } from '@parley/server/store/types';
import { UsageError } from '../errors.ts';
import { wholeFromOne } from '../flag-values.ts';
import { moment, type StoreFlags, storeFlags, table, timeToCome, withStore } from '../store-flags.ts';

interface CreateFlags extends StoreFlags {
  readonly scope?: readonly Scope[];
  readonly expires?: number;
  readonly budget?: number;
  readonly monthlyBudget?: number;
  readonly rpm?: number;
  readonly tpm?: number;
}

export function register(program: Command): void {
  const command = program.command('keys').description('keys for the server\'s API: make, list and revoke them').addHelpText('after', `
Examples:
  $ parley keys create "my program"
  $ parley keys list
  $ parley keys revoke key_5kJ4dv3C80wFDLJ3OvhFKp`);

  storeFlags(command.command('create').description('make a key; it is shown once and kept as a hash').argument('<name>', 'what it is for'))
    .addOption(new Option('--scope <scope...>', 'what it may be used for (default: chat, embeddings, models)').choices(SCOPES))
    .option('--expires <time>', 'when it ends: 12h, 90d, 2w, 1y, or a date (default: never)', timeToCome)
    .option('--budget <tokens>', 'prompt and answer together, over its life', wholeFromOne)
    .option('--monthly-budget <tokens>', 'the same in a calendar month (UTC)', wholeFromOne)
    .option('--rpm <requests>', 'requests a minute', wholeFromOne)
    .option('--tpm <tokens>', 'tokens a minute', wholeFromOne)
    .addHelpText('after', `
Examples:
  $ parley keys create "my program"
  $ parley keys create prometheus --scope metrics --expires 1y
  $ parley keys create intern --monthly-budget 1000000 --rpm 20
  $ parley keys create ci --database postgres://parley@db.example/parley --json`)
    .action(async (name: string, flags: CreateFlags) => await withStore(flags, async (store) => {
      const { key, record } = await store.keys.create({
        name, scopes: flags.scope, expiresAt: flags.expires, budgetTokens: flags.budget, monthlyBudgetTokens: flags.monthlyBudget, requestsPerMinute: flags.rpm, tokensPerMinute: flags.tpm,
      });
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ key, ...record })}\n`);
      else {
        process.stderr.write(`A key for ${name}, ${record.id}, in ${store.description}. It is not shown again:\n`);
        process.stdout.write(`${key}\n`);
      }
    }));

  storeFlags(command.command('list').description('all keys, with what was used'))
    .addHelpText('after', `
Examples:
  $ parley keys list
  $ parley keys list --json`)
    .action(async (flags: StoreFlags) => await withStore(flags, async (store) => {
      const rows = await Promise.all((await store.keys.list()).map(async (record) => ({ ...record, state: keyState(record), usage: await store.usage.totals(record.id) })));
      if (flags.json === true) process.stdout.write(`${JSON.stringify(rows)}\n`);
      else if (rows.length === 0) process.stdout.write('No keys yet. Make one: parley keys create NAME\n');
      else process.stdout.write(table(['NAME', 'ID', 'KEY', 'STATE', 'SCOPES', 'TOKENS', 'LIMITS', 'LAST USED'], rows.map(describe)));
    }));

  storeFlags(command.command('revoke').description('end a key; requests with it are refused at once').argument('<id>', 'its id, or its name where one key has it'))
    .option('--erase', 'also delete the responses that were stored with it')
    .addHelpText('after', `
Examples:
  $ parley keys revoke key_5kJ4dv3C80wFDLJ3OvhFKp
  $ parley keys revoke "my program" --erase`)
    .action(async (id: string, flags: StoreFlags & { erase?: boolean }) => await withStore(flags, async (store) => {
      const all = await store.keys.list();
      const named = all.filter((record) => record.id === id || (record.name === id && record.revokedAt === null));
      if (named.length > 1) throw new UsageError(`${named.length} keys are named '${id}': revoke by id, one of ${named.map((record) => record.id).join(', ')}`);
      const record = await store.keys.revoke(named[0]?.id ?? id);
      if (record === null) throw new UsageError(`there is no key '${id}': parley keys list shows those there are`);
      const erased = flags.erase === true ? await store.erase(record.id) : null;
      if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...record, ...(erased && { erased }) })}\n`);
      else process.stdout.write(`Revoked ${record.name} (${record.prefix}…)${erased === null ? '' : `; ${erased.responses} stored responses were deleted`}\n`);
    }));
}

type Row = KeyRecord & { readonly state: string; readonly usage: UsageTotals };

function describe(row: Row): string[] {
  const limits = [
    row.budgetTokens === null ? '' : `${row.budgetTokens.toLocaleString('en')} in all`,
    row.monthlyBudgetTokens === null ? '' : `${row.monthlyBudgetTokens.toLocaleString('en')} a month`,
    row.requestsPerMinute === null ? '' : `${row.requestsPerMinute} rpm`,
    row.tokensPerMinute === null ? '' : `${row.tokensPerMinute.toLocaleString('en')} tpm`,
    row.expiresAt === null || row.state !== 'active' ? '' : `until ${moment(row.expiresAt)}`,
  ].filter((limit) => limit !== '');
  return [row.name, row.id, `${row.prefix}…`, row.state, row.scopes.join(','), row.usage.totalTokens.toLocaleString('en'), limits.join(', ') || '-', moment(row.lastUsedAt)];
}
