/**
 * What a JSON file has to hold, checked once where it is read. The words are zod's and so is the meaning, which a test compares; only the
 * few that model files need are here, because loading zod takes longer than opening the model that ships (docs/performance.md).
 */

/** Where a value differs from its schema. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
  /** Names and places from the outermost object to the value. */
  readonly path: readonly (string | number)[];

  constructor(message: string, path: readonly (string | number)[]) {
    super(message);
    this.path = path;
  }
}

type Path = SchemaError['path'];
type Result<Output> =
  | { readonly success: true; readonly data: Output; readonly error?: never }
  | { readonly success: false; readonly data?: never; readonly error: SchemaError };

export class Schema<Output> {
  readonly #read: (value: unknown, path: Path) => Output;

  /** `read` returns the value as the schema has it, or throws SchemaError. */
  constructor(read: (value: unknown, path: Path) => Output) {
    this.#read = read;
  }

  /** Throws SchemaError, which says what was expected and where. */
  parse(value: unknown, path: Path = []): Output {
    return this.#read(value, path);
  }

  safeParse(value: unknown): Result<Output> {
    try {
      return { success: true, data: this.parse(value) };
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      return { success: false, error };
    }
  }

  /** Or absent. */
  optional(): Schema<Output | undefined> {
    return new Schema((value, path) => (value === undefined ? undefined : this.parse(value, path)));
  }

  /** Or absent, or null. */
  nullish(): Schema<Output | null | undefined> {
    return new Schema((value, path) => (value === undefined || value === null ? value : this.parse(value, path)));
  }

  /** What an absent value stands for. */
  default(fallback: Exclude<Output, undefined>): Schema<Exclude<Output, undefined>> {
    return new Schema((value, path) => (value === undefined ? fallback : (this.parse(value, path) as Exclude<Output, undefined>)));
  }
}

/** What a schema reads. */
export type Output<S> = S extends Schema<infer Value> ? Value : never;

const refuse = (path: Path, expected: string): never => {
  throw new SchemaError(`expected ${expected}`, path);
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

export const unknown = (): Schema<unknown> => new Schema((value) => value);

export const string = (): Schema<string> => new Schema((value, path) => (typeof value === 'string' ? value : refuse(path, 'a text')));

export const boolean = (): Schema<boolean> => new Schema((value, path) => (typeof value === 'boolean' ? value : refuse(path, 'true or false')));

/** A finite number, from `from`, above `above` and below `below`. */
export function number(range: { from?: number; above?: number; below?: number } = {}): Schema<number> {
  const { from = -Infinity, above = -Infinity, below = Infinity } = range;
  const limits = [[from, 'from'], [above, 'above'], [below, 'below']] as const;
  const expected = ['a number', ...limits.flatMap(([limit, word]) => (Number.isFinite(limit) ? [`${word} ${limit}`] : []))].join(' ');
  return new Schema((value, path) =>
    (typeof value === 'number' && Number.isFinite(value) && value >= from && value > above && value < below ? value : refuse(path, expected)));
}

/** A whole number of the range, both ends included. */
export function whole(minimum: number, maximum = Number.MAX_SAFE_INTEGER): Schema<number> {
  const expected = `a whole number from ${minimum}${maximum === Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`}`;
  return new Schema((value, path) =>
    (typeof value === 'number' && Number.isSafeInteger(value) && value >= minimum && value <= maximum ? value : refuse(path, expected)));
}

/** One of these texts. */
export const literal = <const Value extends string>(...values: readonly Value[]): Schema<Value> =>
  new Schema((value, path) => values.find((each) => each === value) ?? refuse(path, values.map((each) => `"${each}"`).join(' or ')));

export const array = <Item>(item: Schema<Item>): Schema<Item[]> => new Schema((value, path) =>
  (Array.isArray(value) ? value.map((each, i) => item.parse(each, [...path, i])) : refuse(path, 'a list')));

/** Two of a kind. */
export const pair = <Item>(item: Schema<Item>): Schema<[Item, Item]> => new Schema((value, path) => {
  if (!Array.isArray(value) || value.length !== 2) return refuse(path, 'a list of two');
  return [item.parse(value[0], [...path, 0]), item.parse(value[1], [...path, 1])];
});

/** An object used as a map. */
export const record = <Item>(item: Schema<Item>): Schema<Record<string, Item>> => new Schema((value, path) => {
  if (!isObject(value)) return refuse(path, 'an object');
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, item.parse(each, [...path, name])]));
});

/** What either reads; the first that fits. `expected` is for the message. */
export const either = <A, B>(a: Schema<A>, b: Schema<B>, expected: string): Schema<A | B> => new Schema((value, path) => {
  for (const schema of [a, b]) {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
  }
  return refuse(path, expected);
});

export type Shape = Readonly<Record<string, Schema<unknown>>>;
type Absentable<S extends Shape> = { [Name in keyof S]: undefined extends Output<S[Name]> ? Name : never }[keyof S];
type Fields<S extends Shape> = { [Name in Exclude<keyof S, Absentable<S>>]: Output<S[Name]> } & { [Name in Absentable<S>]?: Output<S[Name]> };

export class ObjectSchema<S extends Shape> extends Schema<Fields<S>> {
  readonly shape: S;

  /** `others`: what becomes of fields that are not in the shape. */
  constructor(shape: S, others: 'drop' | 'keep' | 'refuse') {
    super((value, path) => {
      if (!isObject(value)) return refuse(path, 'an object');
      const stranger = others === 'refuse' ? Object.keys(value).find((name) => !Object.hasOwn(shape, name)) : undefined;
      if (stranger !== undefined) return refuse([...path, stranger], 'no such field');
      const read: Record<string, unknown> = others === 'keep' ? { ...value } : {};
      for (const [name, schema] of Object.entries(shape)) {
        const field = schema.parse(Object.hasOwn(value, name) ? value[name] : undefined, [...path, name]);
        if (field !== undefined) read[name] = field;
      }
      return read as Fields<S>;
    });
    this.shape = shape;
  }
}

/** Further fields are left out. */
export const object = <S extends Shape>(shape: S): ObjectSchema<S> => new ObjectSchema(shape, 'drop');

/** Further fields are refused. */
export const strictObject = <S extends Shape>(shape: S): ObjectSchema<S> => new ObjectSchema(shape, 'refuse');

/** Further fields stay as they are. */
export const looseObject = <S extends Shape>(shape: S): Schema<Fields<S> & Record<string, unknown>> =>
  new ObjectSchema(shape, 'keep') as Schema<Fields<S> & Record<string, unknown>>;
