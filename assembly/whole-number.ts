/** Numbers that JavaScript keeps as 64-bit floats, as integers. */

/** Added to a whole number below 2^51, it leaves that number in the lower bits of the sum: 3 instructions where a conversion takes 10. */
const SHIFTER: f64 = 0x18_0000_0000_0000;
const BITS: u64 = 0x4338_0000_0000_0000;
const LARGEST: f64 = 0x8_0000_0000_0000;

/** What is not whole is rounded; what is negative becomes 0. */
export function unsigned(value: f64): u64 {
  if (value >= 0 && value < LARGEST) return reinterpret<u64>(value + SHIFTER) - BITS;
  return value > 0 ? <u64>value : 0;
}
