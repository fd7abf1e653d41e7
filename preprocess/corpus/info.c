/* info: owns the figures of --info: the song table summed by split, bits counted, and the loss of a model
 * that knows each key's frequency and nothing else, which any trained model should beat. Refuses a folder
 * that is not one whole corpus (shard.c). */
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "preprocess/common/program.h"
#include "preprocess/corpus/corpus.h"

typedef struct {
    int64_t songs, frames;
    int64_t notes[ROLL_MAX_TRACKS];         /* onsets, by track */
    int64_t sounding[ROLL_MAX_TRACKS][128]; /* frames in which a key sounds, by track */
    played_sums_t played;                   /* over onsets, if the shards have it */
} split_figures_t;

/* Adds the bits set of a plane, which has at most 128 pitches, to counts. */
static void count_bits(const uint8_t *plane, size_t stride, int64_t counts[128]) {
    for (size_t i = 0; i < stride; i++)
        for (unsigned byte = plane[i]; byte; byte &= byte - 1) counts[8 * i + (size_t)__builtin_ctz(byte)]++;
}

static void count_song(const roll_t *roll, const shard_song_t *song, split_figures_t *figures) {
    const size_t first = (size_t)song->first_frame;
    figures->songs++;
    figures->frames += song->frames;
    for (size_t frame = first; frame < first + (size_t)song->frames; frame++) {
        for (size_t track = 0; track < roll->tracks; track++) {
            const uint8_t *onsets = roll_plane(roll, frame, track, PLANE_ONSET);
            count_bits(roll_plane(roll, frame, track, PLANE_SOUNDING), roll->stride,
                       figures->sounding[track]);
            figures->notes[track] += (int64_t)roll_count_bits(onsets, roll->stride);
        }
    }
}

/* The loss in nats a frame of independent keys, each Bernoulli with p = (count + 0.5) / (frames + 1) of the
 * train split, summed over keys and tracks. NAN where there is nothing to fit on or to measure. */
static double bernoulli_baseline(const split_figures_t *train, const split_figures_t *split,
                                 const grid_t *grid) {
    double nats = 0;
    if (train->frames == 0 || split->frames == 0) return NAN;
    for (int track = 0; track < grid->n_tracks; track++) {
        for (int key = 0; key < grid->pitches; key++) {
            double p = ((double)train->sounding[track][key] + 0.5) / ((double)train->frames + 1);
            double on = (double)split->sounding[track][key];
            nats -= on * log(p) + ((double)split->frames - on) * log1p(-p);
        }
    }
    return nats / (double)split->frames;
}

static int64_t sum_notes(const split_figures_t *figures) {
    int64_t notes = 0;
    for (int track = 0; track < ROLL_MAX_TRACKS; track++) notes += figures->notes[track];
    return notes;
}

static double mean_polyphony(const split_figures_t *figures) {
    int64_t sounding = 0;
    for (int track = 0; track < ROLL_MAX_TRACKS; track++) {
        for (int key = 0; key < 128; key++) sounding += figures->sounding[track][key];
    }
    return figures->frames ? (double)sounding / (double)figures->frames : 0;
}

/* How the onsets of each split were played. */
static void print_played(const shard_set_t *set, const split_figures_t figures[SPLIT_COUNT]) {
    if (!set->played) {
        printf(
            "\nNo velocities and offsets: the shards are of an older version; preprocess again, into another "
            "folder, to have them.\n");
        return;
    }
    printf("\nsplit  velocity      sd  offset, frames     sd\n");
    for (int split = 0; split < SPLIT_COUNT; split++) {
        const played_sums_t *sums = &figures[split].played;
        if (sums->n > 0)
            printf("%-5s  %8.2f  %6.2f  %+14.4f  %5.3f\n", split_name((split_t)split),
                   sums->velocity / sums->n, played_velocity_sd(sums), sums->offset / sums->n,
                   played_offset_sd(sums));
    }
}

static void print_figures(const shard_set_t *set, const split_figures_t figures[SPLIT_COUNT]) {
    const grid_t *grid = &set->grid;
    g_autofree char *tracks = grid_tracks_string(grid);
    g_autofree char *folder = g_filename_display_name(set->folder);
    printf("%s: %zu %s in %zu %s, corpus %.16s\n", folder, set->n_songs,
           g_dngettext(NULL, "song", "songs", set->n_songs), set->n_shards,
           g_dngettext(NULL, "shard", "shards", set->n_shards), set->corpus_id);
    printf("grid     %d %s a beat, pitches %d to %d (%d)%s%s\n", grid->steps_per_beat,
           g_dngettext(NULL, "step", "steps", (gulong)grid->steps_per_beat), grid->pitch_low,
           grid->pitch_low + grid->pitches - 1, grid->pitches,
           grid->fold_octaves ? ", folded by octaves" : "",
           grid->sustain_pedal ? ", sustain pedal applied" : "");
    printf("tracks   %s\noptions  %s\n\n", tracks, set->options);
    printf("split     songs      frames       notes  notes at once  baseline, nats a frame\n");
    for (int split = 0; split < SPLIT_COUNT; split++) {
        const split_figures_t *row = &figures[split];
        double baseline = bernoulli_baseline(&figures[SPLIT_TRAIN], row, grid);
        g_autofree char *nats = isnan(baseline) ? g_strdup("-") : g_strdup_printf("%.3f", baseline);
        printf("%-5s  %8" G_GINT64_FORMAT "  %10" G_GINT64_FORMAT "  %10" G_GINT64_FORMAT "  %13.3f  %22s\n",
               split_name((split_t)split), row->songs, row->frames, sum_notes(row), mean_polyphony(row),
               nats);
    }
    print_played(set, figures);
    if (grid->n_tracks == 1) return;
    printf("\ntrack    notes of train, valid, test\n");
    for (int track = 0; track < grid->n_tracks; track++) {
        printf("%-7s", role_name(grid->roles[track]));
        for (int split = 0; split < SPLIT_COUNT; split++)
            printf("  %10" G_GINT64_FORMAT, figures[split].notes[track]);
        putchar('\n');
    }
}

static gboolean add_played(const shard_set_t *set, split_figures_t figures[SPLIT_COUNT], GError **error) {
    g_autofree played_t *played = g_try_new(played_t, set->onsets);
    if (!played && set->onsets > 0)
        return program_fail(error, "%s: not enough memory for %" G_GINT64_FORMAT " onsets", set->folder,
                            set->onsets);
    if (!shard_set_read_played(set, 0, set->n_songs, played, error)) return FALSE;
    for (size_t i = 0; i < set->n_songs; i++) {
        const shard_song_t *song = &set->songs[i];
        played_add(&figures[song->split].played, played + song->first_onset, (size_t)song->onsets);
    }
    return TRUE;
}

gboolean corpus_info(const char *folder, GError **error) {
    g_autoptr(shard_set_t) set = shard_set_open(folder, error);
    if (!set) return FALSE;
    const size_t pitches = (size_t)set->grid.pitches, frame_bytes = grid_frame_bytes(&set->grid);
    g_autofree uint8_t *bits = g_try_malloc((size_t)set->frames * frame_bytes);
    if (!bits)
        return program_fail(error, "%s: not enough memory for %" G_GINT64_FORMAT " frames of %zu bytes",
                            folder, set->frames, frame_bytes);
    if (!shard_set_read(set, bits, error)) return FALSE;
    const roll_t roll = {(size_t)set->frames, (size_t)set->grid.n_tracks, pitches, roll_stride(pitches),
                         bits};
    g_autofree split_figures_t *figures = g_new0(split_figures_t, SPLIT_COUNT);
    for (size_t i = 0; i < set->n_songs; i++)
        count_song(&roll, &set->songs[i], &figures[set->songs[i].split]);
    if (set->played && !add_played(set, figures, error)) return FALSE;
    print_figures(set, figures);
    if (fflush(stdout) == 0 && !ferror(stdout)) return TRUE;
    return program_fail(error, "standard output: cannot write: %s", g_strerror(errno));
}
