/** `parley accounts`: who may sign in to the page. */
import type { Command } from 'commander';
import type { Account, Adopted, Store } from '@parley/server/store/types';
import { agreed, newPassword } from '../ask.ts';
import { UsageError } from '../errors.ts';
import { moment, type StoreFlags, storeFlags, table, withStore } from '../store-flags.ts';

/** Who owns what is made while the server asks nobody (apps/server/src/gate/identity.ts). */
const LOCAL = 'local';

export function register(program: Command): void {
  const command = program.command('accounts').description('accounts for the server\'s page: make, list and remove them, set passwords').addHelpText('after', `
Examples:
  $ parley accounts create ann
  $ parley accounts list`);

  storeFlags(command.command('create').description('make an account; its password is asked for, or read from the standard input').argument('<name>', 'what its person signs in with'))
    .option('--no-adopt', 'the first account: do not hand over what was written on this machine before there was one')
    .addHelpText('after', `
The first account is given the conversations, personas and stored responses that were made before, when the server asked nobody who
they are: afterwards it asks, and nobody else could see them.

Examples:
  $ parley accounts create ann
  $ pass show parley/ann | parley accounts create ann --json
  $ parley accounts create ann --no-adopt`)
    .action(async (name: string, flags: StoreFlags & { adopt?: boolean }) => {
      const password = await newPassword(name);
      await withStore(flags, async (store) => {
        const { account, adopted } = flags.adopt === false ? { account: await store.accounts.create({ name, password }), adopted: null }
          : await store.accounts.createFirst({ name, password }, LOCAL);
        if (flags.json === true) process.stdout.write(`${JSON.stringify({ ...account, ...(adopted && { adopted }) })}\n`);
        else process.stdout.write(`${account.name} may sign in, ${account.id}, in ${store.description}\n${adopted === null ? '' : describeAdopted(account, adopted)}`);
      });
    });

  storeFlags(command.command('list').description('all accounts'))
    .addHelpText('after', `
Examples:
  $ parley accounts list`)
    .action(async (flags: StoreFlags) => await withStore(flags, async (store) => {
      const accounts = await store.accounts.list();
      if (flags.json === true) process.stdout.write(`${JSON.stringify(accounts)}\n`);
      else if (accounts.length === 0) process.stdout.write('No accounts yet: on this machine the page asks nobody. Make one: parley accounts create NAME\n');
      else process.stdout.write(table(['NAME', 'ID', 'MADE', 'LAST SIGN-IN'], accounts.map((account) => [account.name, account.id, moment(account.createdAt), moment(account.lastSignInAt)])));
    }));

  storeFlags(command.command('password').description('set a new password; the account is signed out everywhere').argument('<name>'))
    .addHelpText('after', `
Examples:
  $ parley accounts password ann`)
    .action(async (name: string, flags: StoreFlags) => await withStore(flags, async (store) => {
      const account = await find(store, name);
      await store.accounts.setPassword(account.id, await newPassword(account.name));
      print(flags, account, `${account.name} has a new password and is signed out everywhere`);
    }));

  storeFlags(command.command('remove').description('delete an account with its conversations, personas and stored responses').argument('<name>'))
    .option('--yes', 'do not ask')
    .addHelpText('after', `
Examples:
  $ parley accounts remove ann`)
    .action(async (name: string, flags: StoreFlags & { yes?: boolean }) => await withStore(flags, async (store) => {
      const account = await find(store, name);
      if (flags.yes !== true && !(await agreed(`Delete ${account.name} and everything that ${account.name} has written? [y/N] `))) {
        process.stdout.write('Nothing was deleted.\n');
        return;
      }
      await store.accounts.remove(account.id);
      print(flags, account, `Deleted ${account.name} and what belonged to that account`);
    }));
}

/** Nothing where nothing was there. */
function describeAdopted({ name }: Account, { conversations, personas, responses }: Adopted): string {
  const parts = ([[conversations, 'conversation'], [personas, 'persona'], [responses, 'stored response']] as const)
    .filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}${count === 1 ? '' : 's'}`);
  return parts.length === 0 ? '' : `${name}, the first account, now has what was made here before: ${parts.join(', ')} (--no-adopt leaves it)\n`;
}

async function find(store: Store, name: string): Promise<Account> {
  const account = await store.accounts.findByName(name) ?? await store.accounts.get(name);
  if (account === null) throw new UsageError(`there is no account '${name}': parley accounts list shows those there are`);
  return account;
}

function print(flags: StoreFlags, account: Account, text: string): void {
  process.stdout.write(`${flags.json === true ? JSON.stringify(account) : text}\n`);
}
