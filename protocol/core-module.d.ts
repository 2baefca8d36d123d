/** Made by the build from `assembly/`: the octets of the WebAssembly module. */
export const MODULE: Uint8Array;
