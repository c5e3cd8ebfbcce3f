import { buffersPassed } from '../memory.ts'

/** Bytes of buffers that may have become garbage before they are collected. */
const EVERY_BYTES = 8 * 1024 * 1024

let passed = 0

/**
 * Told of every buffer that has passed through the proxy, which is garbage from then on.
 *
 * Their memory lies outside of V8's heap and is little inside, so that no cheap collection of young objects comes due;
 * V8 sees the sum grow until it marks the whole heap instead, which takes some 40 ms. Asked for in time the cheap one
 * frees them all in 1 ms.
 */
export function bytesPassed(bytes: number): void {
  passed += bytes
  if (passed < EVERY_BYTES) return
  passed = 0
  // Not here: the buffer at hand would still be in use and survive.
  setImmediate(buffersPassed)
}
