/** WebAssembly as every runtime has it: neither ES2024's library nor Node's types declare it. */
declare namespace WebAssembly {
  type ImportValue = Memory | ((...args: number[]) => number | void) | number;
  interface MemoryDescriptor {
    initial: number;
    maximum?: number;
    shared?: boolean;
  }
  class Memory {
    constructor(descriptor: MemoryDescriptor);
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    grow(pages: number): number;
  }
  class Module {
    constructor(bytes: ArrayBufferLike | ArrayBufferView);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, ImportValue>>);
    readonly exports: Record<string, unknown>;
  }
  class RuntimeError extends Error {}
  function validate(bytes: ArrayBufferLike | ArrayBufferView): boolean;
  function compile(bytes: ArrayBufferLike | ArrayBufferView): Promise<Module>;
}
