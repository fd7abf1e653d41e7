/* real: the floating-point type of the model's code: float, or double in the build that checks gradients
 * (make CONFIG=double). */
#ifndef MPIANIST_TRAINER_MODEL_REAL_H
#define MPIANIST_TRAINER_MODEL_REAL_H

#ifdef MPIANIST_DOUBLE
typedef double real_t;
#else
typedef float real_t;
#endif

#endif
