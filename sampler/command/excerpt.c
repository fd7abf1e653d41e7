/* excerpt: owns which onsets an excerpt has, and how each was played in the whole. */
#include "sampler/command/excerpt.h"

roll_t *excerpt_take(const roll_t *roll, const played_t *played, const excerpt_t *excerpt, played_t **part) {
    const size_t end = MIN(excerpt->first + excerpt->frames, roll->frames);
    roll_t *taken = roll_new(excerpt->frames, roll->tracks, roll->pitches);
    GArray *how = g_array_new(FALSE, FALSE, sizeof(played_t));
    size_t onset = 0;
    if (excerpt->from < end)
        roll_copy(roll, excerpt->from, end - excerpt->from, taken, excerpt->from - excerpt->first);
    roll_make_canonical(taken);
    for (size_t t = 0; t < end; t++)
        for (size_t k = 0; k < roll->tracks; k++)
            for (size_t p = 0; p < roll->pitches; p++) {
                const gboolean began = roll_get(roll, t, k, PLANE_ONSET, p);
                const played_t was = began ? played[onset++] : played_typed();
                if (t >= excerpt->first && roll_get(taken, t - excerpt->first, k, PLANE_ONSET, p))
                    g_array_append_val(how, was);
            }
    *part = (played_t *)(void *)g_array_free(how, FALSE);
    return taken;
}
