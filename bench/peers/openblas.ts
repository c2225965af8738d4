/**
 * The environment of a process that multiplies with OpenBLAS. An OpenBLAS older than the processor may not know it and take its kernels
 * for a Pentium 4 (0.3.21 does so on Emerald Rapids: 6 to 40 GFLOP/s instead of 100 to 200); where the machine has AVX-512 it is told
 * which to take. $OPENBLAS_CORETYPE wins.
 */
import { readFileSync } from 'node:fs';

export function openblasEnvironment(threads: number): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, OPENBLAS_NUM_THREADS: String(threads) };
  environment['OPENBLAS_CORETYPE'] ??= coreType();
  return environment;
}

function coreType(): string | undefined {
  let flags = '';
  try {
    flags = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return undefined; // not Linux: OpenBLAS decides
  }
  return flags.includes('avx512vl') ? 'SkylakeX' : flags.includes('avx2') ? 'Haswell' : undefined;
}
