/* real: the floating-point type of the model's code: float, or double in the build that checks gradients
 * (make CONFIG=double). */
#pragma once

#ifdef MPIANIST_DOUBLE
typedef double real_t;
#else
typedef float real_t;
#endif
