/** For tests of backends and of what is built on them. */
export { describeTolerance, EXACT, expectClose, expectSameBits, type Tolerance } from './compare.ts';
export { describeBackend, type MakeBackend, type SuiteOptions } from './describe-backend.ts';
export { directionalDerivative, expectGradients } from './gradients.ts';
export { Lab, type Program, type Results, run } from './lab.ts';
