import { describeBackend } from '@parley/engine/testing';
import { ReferenceBackend } from './reference.ts';

// Against itself every comparison is exact. What this run shows is that the reference stays within its buffers, keeps its
// memory in order, gives rows the same bits in any company, and has the gradients that finite differences say.
// Its values are held to independent formulas in reference.test.ts.
describeBackend('reference', async () => new ReferenceBackend({ limitBytes: 1 << 28 }));
