#!/usr/bin/env node
/**
 * The `parley` command. Plain JavaScript, so that a start from the compile cache needs nothing that strips types: that part of Node
 * alone takes 45 ms to load.
 */
import './compile-cache.js';

await import('../src/cli.ts');
