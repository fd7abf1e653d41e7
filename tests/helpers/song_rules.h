/* song_rules: what holds for every song that was read, however damaged its file was: the rules of midi.h;
 * what is written of it reads back the same; and it fits the grid. */
#pragma once

#include <math.h>
#include <string.h>

#include "preprocess/roll/roll.h"

static inline void assert_in_order(const song_t *song, const GArray *list) {
    for (guint i = 0; i < list->len; i++) {
        g_assert_cmpint(*song_tick_at(list, i), >=, i > 0 ? *song_tick_at(list, i - 1) : 0);
        g_assert_cmpint(*song_tick_at(list, i), <=, song->ticks);
    }
}

static inline gint64 order_of(const note_t *note) {
    return (gint64)note->track << 16 | note->channel << 8 | note->pitch;
}

static inline void assert_sound(const song_t *song, gsize length) {
    g_assert_true(song->ticks_per_beat >= 1 && song->ticks_per_beat <= 0x7FFF);
    g_assert_true(song->track_names->len >= 1 && song->track_names->len <= G_MAXUINT16);
    g_assert_cmpuint(song->notes->len, <=, length / 2);
    assert_in_order(song, song->notes);
    assert_in_order(song, song->tempi);
    assert_in_order(song, song->meters);
    assert_in_order(song, song->pedals);
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *note = &g_array_index(song->notes, note_t, i);
        g_assert_true(note->pitch < 128 && note->velocity >= 1 && note->velocity < 128);
        g_assert_true(note->channel < 16 && note->program < 128 && note->track < song->track_names->len);
        g_assert_true(note->length >= 0 && note->onset + note->length <= song->ticks);
        if (i > 0 && note[-1].onset == note->onset) g_assert_cmpint(order_of(note - 1), <=, order_of(note));
    }
    for (guint i = 0; i < song->tempi->len; i++) {
        const double bpm = g_array_index(song->tempi, tempo_t, i).bpm;
        g_assert_true(bpm >= 5 && bpm <= 1000);
    }
    for (guint i = 0; i < song->meters->len; i++) {
        const meter_t *meter = &g_array_index(song->meters, meter_t, i);
        g_assert_true(meter->numerator >= 1 && g_bit_nth_msf(meter->denominator, -1) >= 0 &&
                      (meter->denominator & (meter->denominator - 1)) == 0);
    }
    for (guint i = 0; i < song->track_names->len; i++)
        g_assert_true(g_utf8_validate(song->track_names->pdata[i], -1, NULL));
    for (guint i = 0; i < song->texts->len; i++)
        g_assert_true(g_utf8_validate(song->texts->pdata[i], -1, NULL));
}

/* All but the numbers of tracks, which are one more: the first track of what is written has no notes. */
static inline void assert_same(const song_t *song, const song_t *back) {
    g_assert_cmpint(back->ticks_per_beat, ==, song->ticks_per_beat);
    g_assert_cmpint(back->ticks, ==, song->ticks);
    g_assert_cmpuint(back->notes->len, ==, song->notes->len);
    for (guint i = 0; i < song->notes->len; i++) {
        const note_t *a = &g_array_index(song->notes, note_t, i), *b = &g_array_index(back->notes, note_t, i);
        g_assert_cmpint(a->onset, ==, b->onset);
        g_assert_cmpint(a->length, ==, b->length);
        g_assert_true(a->pitch == b->pitch && a->velocity == b->velocity && a->channel == b->channel);
        g_assert_true(a->program == b->program && a->track + 1 == b->track);
    }
    g_assert_true(back->tempi->len == song->tempi->len && back->meters->len == song->meters->len);
    g_assert_cmpuint(back->pedals->len, ==, song->pedals->len);
    for (guint i = 0; i < song->tempi->len; i++) {
        const tempo_t *a = &g_array_index(song->tempi, tempo_t, i),
                      *b = &g_array_index(back->tempi, tempo_t, i);
        g_assert_true(a->tick == b->tick && fabs(a->bpm / b->bpm - 1) < 1e-4);
    }
    for (guint i = 0; i < song->meters->len; i++) {
        const meter_t *a = &g_array_index(song->meters, meter_t, i),
                      *b = &g_array_index(back->meters, meter_t, i);
        g_assert_true(a->tick == b->tick && a->numerator == b->numerator && a->denominator == b->denominator);
    }
    for (guint i = 0; i < song->pedals->len; i++) {
        const pedal_t *a = &g_array_index(song->pedals, pedal_t, i),
                      *b = &g_array_index(back->pedals, pedal_t, i);
        g_assert_true(a->tick == b->tick && a->channel == b->channel && a->down == b->down);
    }
    g_assert_cmpuint(back->track_names->len, ==, song->track_names->len + 1);
    for (guint i = 0; i < song->track_names->len; i++)
        g_assert_cmpstr(back->track_names->pdata[i + 1], ==, song->track_names->pdata[i]);
    g_assert_cmpuint(back->texts->len, ==, song->texts->len);
    for (guint i = 0; i < song->texts->len; i++)
        g_assert_cmpstr(back->texts->pdata[i], ==, song->texts->pdata[i]);
}

/* FALSE where the song is too long for a file. */
static inline gboolean assert_round_trip(const song_t *song) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GByteArray) bytes = midi_to_bytes(song, &error);
    if (!bytes) {
        g_assert_cmpint(song->ticks, >=, 1 << 28);
        return FALSE;
    }
    g_autoptr(song_t) back = midi_parse(bytes->data, bytes->len, &error);
    g_assert_no_error(error);
    const midi_reading_t *reading = &back->reading;
    g_assert_true(reading->tracks_cut == 0 && reading->events_left_out == 0 && reading->tempi_left_out == 0);
    assert_same(song, back);
    return TRUE;
}

/* Onsets imply sounding bits, and sounding bits after silence onsets. */
static inline void assert_roll(song_t *song) {
    const grid_t grid = grid_default();
    const cut_t cut = cut_default();
    roll_counts_t counts = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) played = g_array_new(FALSE, FALSE, sizeof(played_t));
    g_autoptr(roll_t) roll = roll_from_song(song, &grid, &cut, &counts, played, &error);
    if (!roll) {
        g_assert_true(error->message[0] != '\0');
        return;
    }
    g_assert_cmpuint(roll->frames, <=, ROLL_MAX_FRAMES);
    g_assert_cmpuint(played->len, ==, roll_count_onsets(roll->bits, roll->frames, &grid));
    for (guint i = 0; i < played->len; i++) {
        const played_t how = g_array_index(played, played_t, i);
        g_assert_true(how.velocity >= 1 && how.velocity <= 127);
    }
    g_autofree uint8_t *bits = g_memdup2(roll->bits, roll->frames * roll_frame_bytes(roll));
    roll_make_canonical(roll);
    g_assert_true(memcmp(bits, roll->bits, roll->frames * roll_frame_bytes(roll)) == 0);
    g_autoptr(timeline_t) timeline = timeline_from_song(song, grid.steps_per_beat, (int64_t)roll->frames);
    g_assert_true(timeline_rows_valid((const void *)timeline->tempi->data, timeline->tempi->len,
                                      (const void *)timeline->meters->data, timeline->meters->len,
                                      (int64_t)roll->frames));
}
