/*
 * state: what the fold knows of one stream, at one sequence, and its snapshot.
 *
 * A snapshot holds (incarnation, sequence, cells, recent ids, remembered keys) of one stream and is
 * read back only whole: a wrong checksum or version means "no snapshot", and the stream is folded
 * again.
 *
 * Rules may change between writing and reading. Each metric's cells carry the fingerprint of its
 * rule: cells of unchanged rules are kept with the sequence they stand at; new and changed ones
 * begin empty and need the stream from its start. state_next_seq() is where reading must resume; a
 * metric ignores messages up to the sequence that it stands at, so nothing counts twice.
 */
#pragma once

#include "fold/engine.h"

const char *state_name(const struct stream_state *state);
/* The last sequence folded; 0: none. */
uint64_t state_seq(const struct stream_state *state);
/* The last sequence that any metric has seen: past state_seq() while older messages are folded
 * again. */
uint64_t state_known_seq(const struct stream_state *state);
uint64_t state_next_seq(const struct stream_state *state);
/* The stream's creation time as its server writes it; "" before the first. */
const char *state_incarnation(const struct stream_state *state);

/*
 * What the clock says while the stream has been read to its end, else 0: gauges of what is overdue
 * in a quiet stream look at it when they are shown. Counters never depend on it.
 */
void state_set_now(struct stream_state *state, int64_t now_ns);

/* The stream is a new one (or the first): counters stay, sequences start over. */
void state_begin_incarnation(struct engine *engine, struct stream_state *state,
                             const char *created);
/* The stream's end went back behind what was folded: reading resumes at last_seq + 1. */
void state_roll_back(struct stream_state *state, uint64_t last_seq);
/* Messages next..first_seq-1 are gone: counted once. */
void state_skip_to(struct engine *engine, struct stream_state *state, uint64_t first_seq);

/* A message that is not to be folded (a copy of one that is read elsewhere): only the place moves.
 */
void state_pass(struct engine *engine, struct stream_state *state, uint64_t seq);
/* As if nothing had been folded. */
void state_clear(struct engine *engine, struct stream_state *state);

/*
 * A state as it stands, to be written later: copied with the registry's lock held (about 10 ms for
 * a million cells), written without it while folds go on.
 */
struct state_copy;
struct state_copy *state_copy_new(const struct engine *engine, const struct stream_state *state);
void state_copy_free(struct state_copy *copy); /* NULL is allowed */
uint64_t state_copy_seq(const struct state_copy *copy);
/*
 * False while metrics are folded again from further back: what they hold is then not what the
 * messages up to state_copy_seq() come to.
 */
bool state_copy_is_whole(const struct state_copy *copy);

/* Takes the bytes in order, piece by piece; -1 ends it. */
typedef int state_sink(void *context, struct slice bytes, struct error *err);
/*
 * Writes the snapshot, once per copy. Returns its checksum in *ret_checksum (the XXH3 over all
 * bytes before it): equal for two monitors with the same rules that folded the same messages. With
 * sink NULL only the checksum is computed.
 */
int state_copy_write(struct state_copy *copy, state_sink *sink, void *context,
                     uint64_t *ret_checksum, struct error *err);

/* All at once. */
void state_encode(const struct engine *engine, const struct stream_state *state, struct buf *ret);
/* -1 (EXIT_CODE_DAMAGED) when the bytes are no sound snapshot; the state is then empty. */
int state_decode(struct engine *engine, struct stream_state *state, struct slice bytes,
                 struct error *err);
/* Whose snapshot it is, from its first bytes, by which nothing else is checked; or absent. */
struct slice state_peek_name(struct slice bytes);
