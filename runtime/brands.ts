/**
 * Brands: narrower numbers on the wire and in storage.
 *
 * `number` is a double everywhere. A brand says that the value is an integer of a width (or a single
 * precision float): the generated codec then uses the narrower type and refuses what does not fit. A
 * brand is only a type; any `number` is assignable to it and it is a `number` when read.
 *
 * @module
 */

/** Key of the brand; no value has it. */
export declare const width: unique symbol;

/** A number that travels in a narrower form. */
export type Branded<Base, Width extends string> = Base & { readonly [width]?: Width };

/** 64-bit float: what plain `number` is. */
export type Float64 = Branded<number, "float64">;
/** 32-bit float; values are rounded to single precision. */
export type Float32 = Branded<number, "float32">;
/** Integer from -128 to 127. */
export type Int8 = Branded<number, "int8">;
/** Integer from 0 to 255. */
export type Uint8 = Branded<number, "uint8">;
/** Integer from -32,768 to 32,767. */
export type Int16 = Branded<number, "int16">;
/** Integer from 0 to 65,535. */
export type Uint16 = Branded<number, "uint16">;
/** Integer from -2³¹ to 2³¹ - 1. */
export type Int32 = Branded<number, "int32">;
/** Integer from 0 to 2³² - 1. */
export type Uint32 = Branded<number, "uint32">;
/** bigint from -2⁶³ to 2⁶³ - 1. */
export type Int64 = Branded<bigint, "int64">;
/** bigint from 0 to 2⁶⁴ - 1. */
export type Uint64 = Branded<bigint, "uint64">;
