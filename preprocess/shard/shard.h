/* shard: the HDF5 shard format: layout, version, writer and reader. docs/formats.md describes the file for
 * other programs.
 *
 * A corpus is a folder of shard-00000-of-0000n.h5 files with one corpus id. Each holds whole songs:
 *   /roll    [frames, tracks, 2, stride] uint8, chunked by frames, Fletcher-32, deflate
 *            (layout: preprocess/roll/roll.h)
 *   /songs   [songs] compound: first_frame, frames, tempo_bpm, meter_numerator, meter_denominator, split,
 *            sha256, path, crc32, first_tempo, tempi, first_meter, meters, first_onset, onsets, played_crc32
 *   /tempi   [changes] compound: frame, bpm
 *   /meters  [changes] compound: frame, numerator, denominator: the songs' maps, one after the other
 *   /velocity [onsets] uint8, /offset [onsets] int8: how the onsets of /roll were played
 *            (preprocess/roll/played.h), in their order; absent where there is no onset
 *   root attributes: format, version, steps_per_beat, pitch_low, pitches, tracks, options, corpus_id, shard,
 *            shards, tool */
#pragma once

#include "preprocess/common/owner.h"
#include "preprocess/roll/roll.h"

#define SHARD_FORMAT "mpianist-shard"
/* Read, too: version 2, which does not say how onsets were played; version 1, without checksums and maps
 * either. */
#define SHARD_VERSION 3

typedef enum { SPLIT_TRAIN, SPLIT_VALID, SPLIT_TEST, SPLIT_COUNT } split_t;
const char *split_name(split_t split);
/* FALSE where name is none of train, valid, test. */
gboolean split_from_name(const char *name, split_t *split);

#define SHARD_PATH_BYTES 1024

typedef struct {
    int64_t first_frame; /* in its shard's /roll; in a shard_set_t: in the whole corpus */
    int64_t frames;
    double tempo_bpm;                           /* the main one */
    uint8_t meter_numerator, meter_denominator; /* the main ones */
    uint8_t split;                              /* split_t */
    char sha256[65];                            /* of the source file, hexadecimal */
    char path[SHARD_PATH_BYTES];                /* of the source file, as in report.tsv; UTF-8 */
    uint32_t crc32; /* of its rows of /roll; 0 in version 1, where nothing is verified */
    /* Its rows of /tempi and /meters, the first and how many; in a shard_set_t: of its tempi and meters. */
    int64_t first_tempo, tempi, first_meter, meters;
    /* Its rows of /velocity and /offset; in a shard_set_t: of the whole corpus. 0 before version 3. */
    int64_t first_onset, onsets;
    uint32_t played_crc32; /* of its played_t */
} shard_song_t;

/* One file of a corpus. */
typedef struct {
    int64_t version;
    size_t end_song; /* one past its last song, in corpus order */
} shard_file_t;

typedef struct {
    grid_t grid;
    char corpus_id[65]; /* SHA-256 over grid, options and all songs */
    char *options;      /* the preprocess options, as text */
    size_t n_shards;
    size_t n_songs;
    shard_file_t *files; /* [n_shards] */
    shard_song_t *songs; /* [n_songs], in corpus order */
    GArray *tempi;       /* tempo_change_t of all songs, in order; frames count from each song's first */
    GArray *meters;      /* meter_change_t, likewise */
    int64_t frames;      /* over all shards */
    int64_t onsets;      /* likewise, where `played` */
    gboolean played;     /* all files say how their onsets were played */
    char *folder;
    owner_t *owner; /* while it is written: must still be the owner when a shard takes its name; or NULL */
} shard_set_t;

#define SHARD_ERROR shard_error_quark()
GQuark shard_error_quark(void);
typedef enum {
    SHARD_ERROR_READ,
    SHARD_ERROR_WRITE,
    SHARD_ERROR_FORMAT,
    SHARD_ERROR_MIXED,
    SHARD_ERROR_MISSING,
    SHARD_ERROR_NONE
} shard_error_t;

/* Writes shard `shard` of a set to folder, atomically (temporary, flush, fsync, rename, fsync of the folder).
 * bits: the songs' frames one after the other; songs[i].first_frame counts in it. timelines [n_songs], or
 * NULL where each song has the one tempo and meter of its row. played: of all onsets in bits, or NULL where
 * they are typed (played_typed()). The checksums, onsets and rows of maps in songs are not read. `threads`
 * (>= 1) compress; the file does not depend on it. FALSE with error set: file and cause (a full disk by
 * name). */
gboolean shard_write(const char *folder, const shard_set_t *set, size_t shard, const shard_song_t *songs,
                     timeline_t *const *timelines, const played_t *played, size_t n_songs,
                     const uint8_t *bits, int64_t frames, int threads, GError **error);

/* The corpus id of one shard file; NULL where it is none that can be read. Owner: caller. */
char *shard_corpus_id(const char *path);

/* Reads the headers and song tables of all shards of a folder and checks that they are one whole corpus: same
 * corpus id, grid and count, none missing, none corrupt. NULL with error set, naming the file, the cause and
 * the way out. Owner: caller. */
shard_set_t *shard_set_open(const char *folder, GError **error);
/* Reads the frames of songs first_song to first_song + n - 1, in the order of set->songs, to bits, and
 * verifies each song's checksum and onsets. FALSE with error set: the file, the cause and, where rows are not
 * what was written, the song. */
gboolean shard_set_read_songs(const shard_set_t *set, size_t first_song, size_t n, uint8_t *bits,
                              GError **error);
/* The same for all songs: set->frames * grid_frame_bytes() bytes. */
gboolean shard_set_read(const shard_set_t *set, uint8_t *bits, GError **error);
/* How the onsets of these songs were played: `onsets` of them all, which shard_set_read_songs() finds to be
 * those of the frames. Only of a set with `played`. FALSE with error set, as above. */
gboolean shard_set_read_played(const shard_set_t *set, size_t first_song, size_t n, played_t *played,
                               GError **error);
/* The tempi and meters of a song. Owner: caller. */
timeline_t *shard_set_timeline(const shard_set_t *set, size_t song);
void shard_set_free(shard_set_t *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(shard_set_t, shard_set_free)
