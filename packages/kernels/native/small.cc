/** The small sources as one: a compiler spends half a second on the instruction sets' header each time it reads it. */
#include "elementwise.cc"
#include "loss.cc"
#include "norm.cc"
#include "optimizer.cc"
#include "quantized.cc"
#include "rotary.cc"
#include "rows.cc"
#include "table.cc"
