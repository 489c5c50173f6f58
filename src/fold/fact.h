/*
 * fact: second publications of the same fact, for siblings in src/fold only.
 *
 * Some producers tell one fact twice: a store and a service, two versions of a publisher. An
 * envelope says what makes a fact the same (`fact`, all of its parts) and by which way it came
 * (`channel`). Per stream, facts that have come by one way wait for their copy; a message with the
 * same fact by ANOTHER way is that copy and ends the waiting. The same fact by the same way is not
 * a copy: an event of its own, or a duplicate when its id says so.
 *
 * At most FACTS_WAITING_MAX wait, the one that waits longest is forgotten first: a copy that comes
 * later than that counts as an event. The order of a stream alone decides, so copies in different
 * streams are not recognised. What waits is part of the stream's state. Cost: a hash over the parts
 * and one look into a map; memory grows to 40 bytes per waiting fact.
 */
#pragma once

#include "base/codec.h"
#include "fold/expr.h"

#define FACTS_WAITING_MAX 65536
#define FACT_PARTS_MAX    8

struct facts;

/* The envelope's `fact` and `channel`; each part may be a list, of which the first present counts.
 */
int fact_compile(struct rules *rules, const struct yaml_node *fact, const struct yaml_node *channel,
                 struct envelope *ret, struct error *err);
void fact_done(struct envelope *envelope);

struct course;
/* False: the envelope names no fact, or a part of it is absent. `course` may be NULL. */
bool fact_read(struct eval *eval, const struct envelope *envelope, const struct course *course,
               uint64_t *ret_fact, uint32_t *ret_channel);

/* Is this the copy of a fact that waits? If not, it waits itself from now on. *facts is made when
 * first needed. */
bool facts_take(struct facts **facts, uint64_t fact, uint32_t channel);
/* facts_take() is about to be called: its memory is fetched meanwhile. */
void facts_expect(const struct facts *facts, uint64_t fact);
void facts_free(struct facts *facts);
size_t facts_waiting(const struct facts *facts);

/* count { fixed fact, channel }, longest waiting first. `keep`: false reads over them. */
void facts_encode(const struct facts *facts, struct buf *ret);
void facts_decode(struct facts **facts, bool keep, struct codec_reader *in);
