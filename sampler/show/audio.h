/* audio: MIDI file -> sound file by libfluidsynth and libsndfile, where the build has them (HAVE_AUDIO). The
 * only module that knows them. */
#pragma once

#include <glib.h>

/* 16 bit WAV and FLAC, and Ogg Vorbis. */
typedef enum { AUDIO_NONE, AUDIO_WAV, AUDIO_FLAC, AUDIO_OGG } audio_format_t;

/* Seconds of release and reverberation after the piece. */
#define AUDIO_TAIL_S 2.0

/* The soundfont to use: wanted, or where that is NULL $SOUNDFONT, or the first of the system's usual places.
 * NULL with error set where this build has not both libraries, no soundfont is found, or the file is none:
 * call it before making anything. Owner: caller. */
char *audio_soundfont(const char *wanted, GError **error);

/* Renders a MIDI file of `seconds` plus AUDIO_TAIL_S in stereo at 44.1 kHz, its loudest sample at -1 dB of
 * full scale (Ogg: about). title and the name of this program become its tags. Atomic; to stay, the file
 * needs file_sync_all(). FALSE with error set: file and cause. The same input gives the same bytes, but for
 * the random serial number of an Ogg stream. */
gboolean audio_render(const char *midi, const char *soundfont, double seconds, const char *title,
                      audio_format_t format, const char *path, GError **error);
