/* known: owns masks of cells. */
#include "sampler/make/known.h"

#include "trainer/model/pitch_set.h"

static pitch_set_t read_plane(const roll_t *roll, size_t frame, size_t track, int plane) {
    return pitch_set_read(roll_plane(roll, frame, track, plane), roll->pitches);
}

static void write_plane(roll_t *roll, size_t frame, size_t track, int plane, pitch_set_t set) {
    pitch_set_write(set, roll_plane(roll, frame, track, plane), roll->pitches);
}

/* Takes the pitches of a set out of both planes. */
static void take_out(roll_t *roll, size_t frame, size_t track, pitch_set_t set) {
    for (int plane = 0; plane < ROLL_PLANES; plane++)
        write_plane(roll, frame, track, plane, read_plane(roll, frame, track, plane) & ~set);
}

roll_t *known_all(const roll_t *song) {
    roll_t *known = roll_new(song->frames, song->tracks, song->pitches);
    for (size_t t = 0; t < song->frames; t++)
        for (size_t k = 0; k < song->tracks; k++)
            for (int plane = 0; plane < ROLL_PLANES; plane++)
                write_plane(known, t, k, plane, pitch_set_below(song->pitches));
    return known;
}

void known_forget(roll_t *known, const known_region_t *region) {
    const pitch_set_t keys = pitch_set_below(region->high) & ~pitch_set_below(region->low);
    for (size_t t = region->first; t < region->end; t++)
        for (size_t k = 0; k < known->tracks; k++)
            if (region->tracks >> k & 1) take_out(known, t, k, keys);
}

void known_keep_top(roll_t *known, const roll_t *song, size_t first, size_t end) {
    size_t top = song->pitches;
    for (size_t t = first; t < end; t++) {
        pitch_set_t sounding = 0;
        for (size_t k = 0; k < song->tracks; k++) sounding |= read_plane(song, t, k, PLANE_SOUNDING);
        if (sounding) top = pitch_set_highest(sounding);
        for (size_t k = 0; k < song->tracks; k++) take_out(known, t, k, pitch_set_below(top));
    }
}

void known_close(roll_t *known, roll_t *song) {
    for (size_t t = 0; t < song->frames; t++) {
        for (size_t k = 0; k < song->tracks; k++) {
            for (int plane = 0; plane < ROLL_PLANES; plane++)
                write_plane(song, t, k, plane,
                            read_plane(song, t, k, plane) & read_plane(known, t, k, plane));
            if (t == 0) continue;
            const pitch_set_t held =
                read_plane(song, t, k, PLANE_SOUNDING) &
                (read_plane(known, t, k, PLANE_ONSET) & ~read_plane(song, t, k, PLANE_ONSET));
            const pitch_set_t new = held & ~read_plane(known, t - 1, k, PLANE_SOUNDING);
            write_plane(song, t - 1, k, PLANE_SOUNDING, read_plane(song, t - 1, k, PLANE_SOUNDING) | new);
            write_plane(known, t - 1, k, PLANE_SOUNDING, read_plane(known, t - 1, k, PLANE_SOUNDING) | new);
        }
    }
}
