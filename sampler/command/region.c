/* region: owns how tracks and keys are named. Refuses those that the model does not have. */
#include "sampler/command/region.h"

#include <string.h>

/* "bass,drums" as bits of the model's tracks. */
gboolean region_read_tracks(const char *option, const char *text, const grid_t *grid, unsigned *tracks,
                            GError **error) {
    g_auto(GStrv) names = g_strsplit(text, ",", -1);
    *tracks = 0;
    for (size_t i = 0; names[i]; i++) {
        int track = 0;
        while (track < grid->n_tracks &&
               g_ascii_strcasecmp(role_name(grid->roles[track]), g_strstrip(names[i])) != 0)
            track++;
        if (track == grid->n_tracks) {
            g_autofree char *all = grid_tracks_string(grid);
            return option_fail(error, "--%s %s: the model has no track '%s'; it has %s", option, text,
                               names[i], all);
        }
        *tracks |= 1u << track;
    }
    return TRUE;
}

int region_read_pitch(const char *text) {
    char *end = NULL;
    int class = 0;
    if (g_ascii_isdigit(*text)) {
        const guint64 number = g_ascii_strtoull(text, &end, 10);
        return *end == '\0' && number < 128 ? (int)number : -1;
    }
    if (!key_read_note(&text, &class)) return -1;
    const gint64 octave = g_ascii_strtoll(text, &end, 10);
    if (end == text || *end != '\0' || octave < -1 || octave > 9) return -1;
    const int pitch = class + 12 * ((int)octave + 1);
    return pitch < 128 ? pitch : -1;
}

/* "C2-B3" as pitches above the grid's lowest. */
static gboolean read_keys(const char *text, const grid_t *grid, known_region_t *region, GError **error) {
    const char *dash = *text ? strchr(text + 1, '-') : NULL;
    g_autofree char *from = dash ? g_strndup(text, (gsize)(dash - text)) : NULL;
    const int low = from ? region_read_pitch(from) : -1, high = dash ? region_read_pitch(dash + 1) : -1;
    if (low >= 0 && high >= 0 && high < low)
        return option_fail(error, "--keys %s: is the wrong way round; give the lowest key first", text);
    if (low < 0 || high < 0)
        return option_fail(error,
                           "--keys %s: not a range of keys; give one like C2-B3 or 36-59 (C4 is middle "
                           "C, 60)",
                           text);
    region->low = (size_t)MAX(low - grid->pitch_low, 0);
    region->high = (size_t)CLAMP(high + 1 - grid->pitch_low, 0, grid->pitches);
    if (region->low < region->high) return TRUE;
    return option_fail(error, "--keys %s: the model knows the keys %d to %d", text, grid->pitch_low,
                       grid->pitch_low + grid->pitches - 1);
}

gboolean region_read(const cli_t *cli, const grid_t *grid, size_t frames, known_region_t *region,
                     GError **error) {
    *region = (known_region_t){.end = frames, .tracks = ~0u, .high = (size_t)grid->pitches};
    for (int track = 0; cli->keys && track < grid->n_tracks; track++) /* whose keys are instruments */
        if (grid->roles[track] == ROLE_DRUMS) region->tracks &= ~(1u << track);
    return (!cli->tracks || region_read_tracks("tracks", cli->tracks, grid, &region->tracks, error)) &&
           (!cli->keys || read_keys(cli->keys, grid, region, error));
}
