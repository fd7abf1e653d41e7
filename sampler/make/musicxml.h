/* musicxml: the chords of a score in MusicXML (https://www.w3.org/2021/06/musicxml40/), uncompressed. */
#pragma once

#include "sampler/make/chords.h"

/* Reads the <harmony> elements of a partwise score's first part from the text of a file; path is for
 * messages. The result is in quarter notes, and as long as the measures are: what their <time> says, or their
 * notes where there is none or the measure is marked as a part of one (implicit="yes", or number 0). A
 * pickup, such a measure at the beginning, is left out: the line begins with a whole bar, and with the
 * pickup's last chord where that has none of its own. Before the first chord nothing is asked. Measures count
 * as they are written: repeats are not played. NULL with error set: file, line, cause, way out. Owner:
 * caller. */
chords_t *musicxml_read_chords(const char *path, const char *text, GError **error);
