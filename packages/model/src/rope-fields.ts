/** Rotary positions as a `config.json` writes them: `rope_theta` and `rope_scaling`, or transformers 5's `rope_parameters` for both. */
import { ConfigError } from './errors.ts';
import { field } from './family.ts';
import type { RopeScaling } from './rope.ts';
import * as s from './schema.ts';

const parameters = s.strictObject({
  rope_type: s.string().optional(),
  /** The older name. */
  type: s.string().optional(),
  rope_theta: field.positive.optional(),
  factor: field.positive.optional(),
  original_max_position_embeddings: field.size.optional(),
  low_freq_factor: field.positive.optional(),
  high_freq_factor: field.positive.optional(),
  attention_factor: field.positive.nullish(),
  beta_fast: field.positive.nullish(),
  beta_slow: field.positive.nullish(),
  truncate: s.boolean().optional(),
});

export type RopeParameters = s.Output<typeof parameters>;

/** For the schema of a family's config. */
export const ropeFields = {
  rope_theta: field.positive.nullish(),
  rope_parameters: parameters.nullish(),
  rope_scaling: parameters.nullish(),
};

interface RopeFields {
  readonly rope_theta?: number | null | undefined;
  readonly rope_parameters?: RopeParameters | null | undefined;
  readonly rope_scaling?: RopeParameters | null | undefined;
}

/** θ and scaling of a config whose context is `contextLength`. Throws ConfigError for a scaling that Parley does not compute. */
export function parseRope(
  fields: RopeFields,
  place: { readonly file: string; readonly contextLength: number; readonly theta: number },
): { ropeTheta: number; ropeScaling?: RopeScaling } {
  const { rope_theta: theta, rope_parameters: rope, rope_scaling: old } = fields;
  const { file } = place;
  if (theta && rope?.rope_theta && theta !== rope.rope_theta) {
    throw new ConfigError(`${file}: rope_theta is ${theta} and rope_parameters.rope_theta is ${rope.rope_theta}: make them equal`, {
      field: 'rope_theta',
      value: theta,
    });
  }
  const scaling = parseScaling(rope ?? old ?? {}, { ...place, field: rope ? 'rope_parameters' : 'rope_scaling' });
  return { ropeTheta: theta ?? rope?.rope_theta ?? old?.rope_theta ?? place.theta, ...(scaling && { ropeScaling: scaling }) };
}

function parseScaling(rope: RopeParameters, place: { file: string; field: string; contextLength: number }): RopeScaling | null {
  const { file } = place;
  const type = rope.rope_type ?? rope.type ?? 'default';
  const refuse = (message: string, name = ''): never => {
    throw new ConfigError(`${file}: ${place.field} ${message}`, { field: name === '' ? place.field : `${place.field}.${name}`, value: rope });
  };
  const need = (name: 'factor' | 'low_freq_factor' | 'high_freq_factor'): number =>
    rope[name] ?? refuse(`of type "${type}" has no ${name}: give it`, name);
  const takes: Readonly<Record<string, readonly (keyof RopeParameters)[]>> = {
    default: [],
    linear: ['factor'],
    llama3: ['factor', 'low_freq_factor', 'high_freq_factor', 'original_max_position_embeddings'],
    yarn: ['factor', 'original_max_position_embeddings', 'attention_factor', 'beta_fast', 'beta_slow', 'truncate'],
  };
  const names = Object.hasOwn(takes, type) ? takes[type] : undefined;
  if (names === undefined) {
    const name = rope.rope_type === undefined ? 'type' : 'rope_type';
    throw new ConfigError(
      `${file}: ${place.field}.${name} is ${JSON.stringify(type.slice(0, 200))}; Parley computes ${Object.keys(takes).join(', ')}: use a model with one of these`,
      { field: `${place.field}.${name}`, value: type },
    );
  }
  // Which context it was stretched from is said beside scalings that do not ask for it too.
  const foreign = Object.entries(rope).find(
    ([name, value]) => value !== undefined && value !== null && !['rope_type', 'type', 'rope_theta', 'original_max_position_embeddings'].includes(name) &&
      !names.includes(name as keyof RopeParameters),
  );
  if (foreign) return refuse(`of type "${type}" has ${foreign[0]}, which that type does not take: remove it`, foreign[0]);
  const originalContext = rope.original_max_position_embeddings ?? place.contextLength;
  switch (type) {
    case 'linear':
      return { type, factor: need('factor') };
    case 'llama3':
      return { type, factor: need('factor'), lowFrequencyFactor: need('low_freq_factor'), highFrequencyFactor: need('high_freq_factor'), originalContext };
    case 'yarn':
      return {
        type, factor: need('factor'), originalContext, betaFast: rope.beta_fast ?? 32, betaSlow: rope.beta_slow ?? 1,
        ...(rope.attention_factor && { attentionFactor: rope.attention_factor }), ...(rope.truncate === false && { truncate: false }),
      };
    default:
      return null;
  }
}

/** `rope_scaling` of a config. Throws ConfigError for factors without a formula, which config.json has no words for. */
export function writeRopeScaling(scaling: RopeScaling | undefined): Record<string, unknown> | null {
  switch (scaling?.type) {
    case undefined:
      return null;
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor };
    case 'llama3':
      return {
        rope_type: 'llama3', factor: scaling.factor, low_freq_factor: scaling.lowFrequencyFactor, high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalContext,
      };
    case 'yarn':
      return {
        rope_type: 'yarn', factor: scaling.factor, original_max_position_embeddings: scaling.originalContext, beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow, ...(scaling.attentionFactor && { attention_factor: scaling.attentionFactor }),
        ...(scaling.truncate === false && { truncate: false }),
      };
    case 'factors':
      throw new ConfigError('a config.json cannot say ropeScaling by its factors: keep the model in the format it came in', {
        field: 'ropeScaling',
        value: scaling,
      });
    default:
      scaling satisfies never;
      return null;
  }
}
