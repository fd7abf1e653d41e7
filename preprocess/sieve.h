/* sieve: a Standard MIDI File's bytes made safe for libsmf. The rules stand at the top of sieve.c. */
#ifndef MPIANIST_PREPROCESS_SIEVE_H
#define MPIANIST_PREPROCESS_SIEVE_H

#include <glib.h>
#include <stdint.h>

/* Longest time between two events, and longest track: what a variable-length quantity of four bytes holds. */
#define SIEVE_MAX_TICKS 0x0FFFFFFF

/* Meta event types that pass. */
enum { META_TEXT = 0x01, META_TRACK_NAME = 0x03, META_END_OF_TRACK = 0x2F, META_TEMPO = 0x51, META_METER = 0x58 };

/* A file of the same notes, controllers, programs, texts, names, tempi, meters and end-of-track times, that libsmf reads without a complaint. The file begins
 * with a whole MThd header (checked by the caller). cut: counts the tracks that are missing, end where the bytes make no sense, or have no end of track. A
 * file without any track gives a header alone. Linear in length. Owner: caller. */
GByteArray *sieve_file(const uint8_t *bytes, size_t length, guint *cut);

/* The writing half, for midi_write() too: a variable-length quantity up to SIEVE_MAX_TICKS; a meta event after delta ticks. */
void sieve_append_quantity(GByteArray *out, uint32_t value);
void sieve_append_meta(GByteArray *out, uint32_t delta, uint8_t type, const void *body, size_t size);

#endif
