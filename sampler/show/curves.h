/* curves: RUN/metrics.jsonl -> a picture of the losses. */
#pragma once

#include "sampler/show/picture.h"

/* Reconstruction and KL, in nats a frame, over steps: training as a line, validation as dots. run: a run
 * folder. Lines that are not whole JSON (a run under way) are skipped. NULL with error set where there is no
 * such file or no step in it. Owner: caller. */
GBytes *curves_picture(const char *run, picture_format_t format, GError **error);
