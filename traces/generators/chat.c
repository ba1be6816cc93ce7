/* SPDX-License-Identifier: Apache-2.0
 *
 * chat.c: conversations whose prompts grow by the last answer and new text.
 *
 * The program and the figures of preset moon-conv are those of spec/traces.md 4.3,
 * fitted to the Mooncake conversation trace. Sessions start long before time 0 and what
 * they do there is cut off, so the trace begins with conversations under way, as a
 * recorded one does. Only live sessions are in memory. Every session has its own stream
 * of bits: its story does not depend on which others run beside it.
 */
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "traces/generators/arrival.h"
#include "traces/generators/length.h"
#include "traces/generators/population.h"

#include <math.h>
#include <string.h>

enum { LIVE_MAX = 1 << 26, PIECES_MAX = 1 << 16 };

struct session {
    int64_t next_ns; /* when its next turn arrives */
    uint64_t number;
    struct rng bits;
    double effect;     /* what its outputs have in common, standard normal */
    uint64_t last_id;  /* record of the last turn */
    bool last_emitted; /* false: it lay before time 0 */
    uint32_t turn;     /* of the next request */
    uint32_t emitted;  /* turns at or after time 0 */
    uint32_t prompt_tokens;
    uint32_t output_tokens; /* of the last turn */
    uint64_t text_tokens;   /* drawn so far from its own stream of text */
    struct segment *pieces;
    size_t piece_count;
    size_t piece_capacity;
    struct session *next_free;
};

struct chat_model {
    uint32_t system_tokens;
    uint32_t prompt_max; /* a session that outgrows it ends */
    struct length first;
    struct length output;
    struct length added;
    struct dist *gap_s;
    double session_effect; /* correlation of the outputs' ranks within a session */
    double continue_a;
    double continue_b;
    uint32_t turns_min; /* of a session */
    double branch_ratio;
    double resend_ratio;
    int64_t gap_min_ns;
    int64_t warm_up_ns;
    struct dist *branch_keep;   /* part of the prompt that a branch keeps */
    struct dist *branch_growth; /* new total over old */
};

struct chat {
    struct source base;
    struct population population;
    struct chat_model model;
    struct arrival *starts;
    struct rng start_bits;
    int64_t next_start_ns;
    uint64_t session_count;
    uint64_t emitted;
    struct session **heap; /* live sessions by (next_ns, number) */
    size_t live;
    size_t heap_capacity;
    struct session *free;
    struct session *lent; /* the record borrows its pieces */
    bool lent_lives;      /* back into the heap at the next call */
    struct trace_record record;
};

static const double second_ns = 1e9;

static void session_free(struct session *session)
{
    mem_free(session->pieces);
    mem_free(session);
}

static void model_fini(struct chat_model *model)
{
    length_close(&model->first);
    length_close(&model->output);
    length_close(&model->added);
    dist_delete(model->gap_s);
    dist_delete(model->branch_keep);
    dist_delete(model->branch_growth);
}

static void chat_close(struct source *source)
{
    struct chat *const chat = (struct chat *)source;
    for (size_t i = 0; i < chat->live; i++) {
        session_free(chat->heap[i]);
    }
    while (chat->free != NULL) {
        struct session *const session = chat->free;
        chat->free = session->next_free;
        session_free(session);
    }
    if (chat->lent != NULL) {
        session_free(chat->lent);
    }
    mem_free(chat->heap);
    arrival_close(chat->starts);
    model_fini(&chat->model);
    population_fini(&chat->population);
    text_fini(&chat->base.origin);
    mem_free(chat);
}

static bool comes_before(const struct session *a, const struct session *b)
{
    return a->next_ns != b->next_ns ? a->next_ns < b->next_ns : a->number < b->number;
}

static void heap_push(struct chat *chat, struct session *session)
{
    void *memory = chat->heap;
    const bool room = mem_grow(&memory, &chat->heap_capacity, chat->live + 1,
                               sizeof(struct session *), LIVE_MAX);
    CHECK(room, "more than %d conversations at once", LIVE_MAX);
    chat->heap = memory;
    size_t at = chat->live++;
    while (at > 0 && comes_before(session, chat->heap[(at - 1) / 2])) {
        chat->heap[at] = chat->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    chat->heap[at] = session;
}

static struct session *heap_pop(struct chat *chat)
{
    struct session *const first = chat->heap[0];
    struct session *const last = chat->heap[--chat->live];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= chat->live) {
            break;
        }
        if (child + 1 < chat->live &&
            comes_before(chat->heap[child + 1], chat->heap[child])) {
            child++;
        }
        if (!comes_before(chat->heap[child], last)) {
            break;
        }
        chat->heap[at] = chat->heap[child];
        at = child;
    }
    chat->heap[at] = last;
    return first;
}

static void add_piece(struct session *session, uint64_t stream, uint64_t offset,
                      uint32_t tokens)
{
    if (tokens == 0) {
        return;
    }
    void *memory = session->pieces;
    const bool room =
        mem_grow(&memory, &session->piece_capacity, session->piece_count + 1,
                 sizeof(struct segment), PIECES_MAX);
    CHECK(room, "session %llu has more than %d pieces",
          (unsigned long long)session->number, PIECES_MAX);
    session->pieces = memory;
    session->pieces[session->piece_count++] =
        (struct segment){.stream = stream, .offset = offset, .tokens = tokens};
    session->piece_count = segment_normalise(session->pieces, session->piece_count);
    session->prompt_tokens += tokens;
}

/* New text that nobody else has. Text 0 of a population is the system prompt. */
static void add_text(const struct chat *chat, struct session *session, uint32_t tokens)
{
    const uint64_t id = population_id(&chat->population, session->number + 1);
    add_piece(session, segment_stream(SEGMENT_TEXT, id), session->text_tokens, tokens);
    session->text_tokens += tokens;
}

/* The last answer; one given before time 0 was never asked for, so it is plain text. */
static void add_answer(const struct chat *chat, struct session *session)
{
    if (session->last_emitted) {
        add_piece(session, segment_stream(SEGMENT_OUTPUT, session->last_id), 0,
                  session->output_tokens);
    } else {
        add_text(chat, session, session->output_tokens);
    }
}

static void cut_pieces(struct session *session, uint32_t keep_tokens)
{
    while (session->prompt_tokens > keep_tokens) {
        struct segment *const last = &session->pieces[session->piece_count - 1];
        const uint32_t excess = session->prompt_tokens - keep_tokens;
        const uint32_t cut = excess < last->tokens ? excess : last->tokens;
        last->tokens -= cut;
        session->prompt_tokens -= cut;
        session->piece_count -= last->tokens == 0 ? 1 : 0;
    }
}

static struct session *session_start(struct chat *chat)
{
    struct session *session = chat->free;
    if (session == NULL) {
        session = mem_alloc(1, sizeof(*session));
    } else {
        chat->free = session->next_free;
    }
    *session = (struct session){
        .next_ns = chat->next_start_ns,
        .number = chat->session_count++,
        .pieces = session->pieces,
        .piece_capacity = session->piece_capacity,
    };
    rng_init(&session->bits, chat->population.seed, "chat.session",
             population_id(&chat->population, session->number));
    session->effect = dist_draw_normal(&session->bits);
    const struct chat_model *const model = &chat->model;
    uint32_t first = length_draw(&chat->model.first, &session->bits);
    first = first < model->prompt_max ? first : model->prompt_max;
    first = first > model->system_tokens ? first : model->system_tokens + 1;
    add_piece(session,
              segment_stream(SEGMENT_TEXT, population_id(&chat->population, 0)), 0,
              model->system_tokens);
    add_text(chat, session, first - model->system_tokens);
    return session;
}

/* The same start, then other text: an edited turn, or a new retrieval. */
static void take_branch(struct chat *chat, struct session *session)
{
    const struct chat_model *const model = &chat->model;
    const double old = session->prompt_tokens;
    double keep = nearbyint(old * dist_draw(model->branch_keep, &session->bits));
    keep = keep > model->system_tokens ? keep : model->system_tokens;
    keep = keep < old ? keep : old;
    double total = nearbyint(old * dist_draw(model->branch_growth, &session->bits));
    total = total < model->prompt_max ? total : model->prompt_max;
    cut_pieces(session, (uint32_t)keep);
    add_text(chat, session, total > keep ? (uint32_t)(total - keep) : 1);
}

/* Makes the prompt of the next turn; false: it has outgrown the model and ends. */
static bool take_turn(struct chat *chat, struct session *session)
{
    const struct chat_model *const model = &chat->model;
    const double kind = rng_unit(&session->bits);
    if (kind < model->branch_ratio) {
        take_branch(chat, session);
    } else if (kind >= model->branch_ratio + model->resend_ratio) {
        const uint32_t added = length_draw(&chat->model.added, &session->bits);
        if ((uint64_t)session->prompt_tokens + session->output_tokens + added >
            model->prompt_max) {
            return false;
        }
        add_answer(chat, session);
        add_text(chat, session, added);
    }
    return session->prompt_tokens <= model->prompt_max;
}

static uint32_t draw_output(struct chat *chat, struct session *session)
{
    const double share = chat->model.session_effect;
    if (share <= 0) {
        return length_draw(&chat->model.output, &session->bits);
    }
    const double z = sqrt(share) * session->effect +
                     sqrt(1 - share) * dist_draw_normal(&session->bits);
    const double p = dist_normal_cdf(z);
    return length_at_rank(&chat->model.output,
                          p < 1e-12 ? 1e-12 : (p > 1 - 1e-12 ? 1 - 1e-12 : p));
}

/* Whether there is a next turn, and when. */
static bool plan_turn(const struct chat *chat, struct session *session)
{
    const struct chat_model *const model = &chat->model;
    const double depth = session->turn;
    const double chance =
        (model->continue_a + depth) / (model->continue_a + model->continue_b + depth);
    if (session->turn + 1 >= model->turns_min && rng_unit(&session->bits) >= chance) {
        return false;
    }
    const double gap_ns = dist_draw(model->gap_s, &session->bits) * second_ns;
    int64_t wait_ns = gap_ns < 9e17 ? llrint(gap_ns) : INT64_C(900000000000000000);
    wait_ns = wait_ns > model->gap_min_ns ? wait_ns : model->gap_min_ns;
    return !__builtin_add_overflow(session->next_ns, wait_ns, &session->next_ns);
}

static void fill_record(struct chat *chat, struct session *session)
{
    const struct population *const population = &chat->population;
    chat->record = (struct trace_record){
        .id = population_id(population, chat->emitted),
        .arrival_ns = session->next_ns,
        .session = population_id(population, session->number + 1),
        .turn = session->emitted,
        .prompt_tokens = session->prompt_tokens,
        .output_tokens = session->output_tokens,
        .output_tokens_guess = population->predicted ? session->output_tokens : 0,
        .priority = population->priority,
        .think_ns = TRACE_THINK_NONE,
        .parents = {session->last_id},
        .parent_count = session->last_emitted ? 1 : 0,
        .segment_count = (uint32_t)session->piece_count,
        .segments = session->pieces,
        .model = population->model,
        .tenant = population->tenant,
        .adapter = population->adapter,
    };
    population_finish(population, &chat->record);
    session->last_id = chat->record.id;
    session->last_emitted = true;
    session->emitted++;
    chat->emitted++;
}

static void session_end(struct chat *chat, struct session *session)
{
    session->next_free = chat->free;
    chat->free = session;
}

/* The session whose turn it is, its prompt made; NULL: it ended instead. */
static struct session *next_session(struct chat *chat)
{
    if (chat->live == 0 || chat->next_start_ns <= chat->heap[0]->next_ns) {
        struct session *const session = session_start(chat);
        chat->next_start_ns = arrival_next(chat->starts, &chat->start_bits);
        return session;
    }
    struct session *const session = heap_pop(chat);
    if (take_turn(chat, session)) {
        return session;
    }
    session_end(chat, session);
    return NULL;
}

static int64_t next_event_ns(const struct chat *chat)
{
    const int64_t turn_ns = chat->live > 0 ? chat->heap[0]->next_ns : ARRIVAL_NEVER;
    return turn_ns < chat->next_start_ns ? turn_ns : chat->next_start_ns;
}

static void give_back_lent(struct chat *chat)
{
    if (chat->lent == NULL) {
        return;
    }
    if (chat->lent_lives) {
        heap_push(chat, chat->lent);
    } else {
        session_end(chat, chat->lent);
    }
    chat->lent = NULL;
}

static enum workload_result chat_next(struct source *source,
                                      const struct trace_record **out, struct err *err)
{
    (void)err;
    struct chat *const chat = (struct chat *)source;
    const uint64_t max = chat->population.requests_max;
    give_back_lent(chat);
    if (max > 0 && chat->emitted >= max) {
        return WORKLOAD_END;
    }
    for (;;) {
        const int64_t now_ns = next_event_ns(chat);
        if (now_ns >= chat->population.duration_ns || now_ns == ARRIVAL_NEVER) {
            return WORKLOAD_END;
        }
        struct session *const session = next_session(chat);
        if (session == NULL) {
            continue;
        }
        session->output_tokens = draw_output(chat, session);
        if (now_ns >= 0) {
            fill_record(chat, session);
        }
        const bool lives = plan_turn(chat, session);
        session->turn++;
        chat->lent = session;
        chat->lent_lives = lives;
        if (now_ns >= 0) {
            *out = &chat->record;
            return WORKLOAD_RECORD;
        }
        give_back_lent(chat);
    }
}

static uint64_t chat_expected(const struct source *source)
{
    const struct chat *const chat = (const struct chat *)source;
    const uint64_t max = chat->population.requests_max;
    return max > chat->emitted ? max - chat->emitted : 0;
}

static double chat_progress(const struct source *source)
{
    const struct chat *const chat = (const struct chat *)source;
    const struct population *const population = &chat->population;
    if (population->requests_max > 0) {
        return (double)chat->emitted / (double)population->requests_max;
    }
    return (double)chat->record.arrival_ns / (double)population->duration_ns;
}

static const struct source_type chat_type = {
    .name = "chat",
    .next = chat_next,
    .close = chat_close,
    .expected = chat_expected,
    .progress = chat_progress,
};

/* A distribution by key, or the preset's. */
static bool read_dist(struct dist **out, const struct conf_node *map, const char *key,
                      const struct dist_spec *preset, struct err *err)
{
    const struct conf_node *const node = conf_get(map, key);
    return node != NULL ? length_open_dist(out, node, err) : dist_new(out, preset, err);
}

static bool read_length(struct length *out, const struct conf_node *map,
                        const char *key, const struct dist_spec *preset,
                        struct err *err)
{
    const struct conf_node *const node = conf_get(map, key);
    if (node != NULL) {
        return length_open(out, node, err);
    }
    out->min = 1;
    out->max = LENGTH_MAX;
    return dist_new(&out->dist, preset, err);
}

static bool read_output(struct chat_model *model, const struct conf_node *map,
                        struct err *err)
{
    const struct conf_node *const node = conf_get(map, "output");
    model->output.min = 1;
    model->output.max = LENGTH_MAX;
    if (node != NULL ? !length_open(&model->output, node, err)
                     : !length_preset(&model->output.dist, "moon-conv-output", err)) {
        return false;
    }
    return model->session_effect <= 0 || dist_has_quantile(model->output.dist) ||
           conf_fail(map, err,
                     "output: this kind has no quantile function, which "
                     "session_effect needs; set session_effect: 0 or use quantiles");
}

static bool read_lengths(struct chat_model *model, const struct conf_node *map,
                         struct err *err)
{
    static const struct dist_part first_parts[] = {{.127, 2.674, .413},
                                                   {.261, 5.933, 1.459},
                                                   {.094, 8.261, .217},
                                                   {.518, 9.283, .92}};
    static const struct dist_part added_parts[] = {
        {.085, 0, 0}, {.484, 2.688, .696}, {.431, 6.576, 1.975}};
    const struct dist_spec first = {
        .kind = DIST_MIXTURE, .shift = 885, .parts = first_parts, .count = 4};
    const struct dist_spec added = {
        .kind = DIST_MIXTURE, .parts = added_parts, .count = 3};
    return read_length(&model->first, map, "first", &first, err) &&
           read_length(&model->added, map, "added", &added, err) &&
           read_output(model, map, err);
}

static bool read_turns(struct chat_model *model, const struct conf_node *map,
                       struct err *err)
{
    const struct dist_spec gap = {
        .kind = DIST_LOGNORMAL, .first = 5.007, .second = 1.028};
    const struct dist_spec keep = {.kind = DIST_BETA, .first = 0.743, .second = 1.153};
    const struct dist_spec growth = {
        .kind = DIST_LOGNORMAL, .first = -0.02, .second = 0.40};
    if (!conf_f64(map, "continue_a", &model->continue_a, 0, 1e9, err) ||
        !conf_f64(map, "continue_b", &model->continue_b, 1e-9, 1e9, err) ||
        !conf_u32(map, "turns_min", &model->turns_min, 1, 1000000, err) ||
        !conf_f64(map, "branch_ratio", &model->branch_ratio, 0, 1, err) ||
        !conf_f64(map, "resend_ratio", &model->resend_ratio, 0, 1, err) ||
        !conf_duration_ns(map, "gap_min", &model->gap_min_ns, err) ||
        !read_dist(&model->gap_s, map, "gap_s", &gap, err) ||
        !read_dist(&model->branch_keep, map, "branch_keep", &keep, err) ||
        !read_dist(&model->branch_growth, map, "branch_growth", &growth, err)) {
        return false;
    }
    return model->branch_ratio + model->resend_ratio <= 1 ||
           conf_fail(map, err, "branch_ratio and resend_ratio: their sum is above 1");
}

static bool read_model(struct chat_model *model, const struct conf_node *map,
                       struct err *err)
{
    static const char *const presets[] = {"moon-conv", NULL};
    uint32_t preset = 0;
    *model = (struct chat_model){
        .system_tokens = 885,
        .prompt_max = 128000,
        .session_effect = 0.61,
        .continue_a = 1.272,
        .continue_b = 2.65,
        .turns_min = 1,
        .branch_ratio = 0.17,
        .resend_ratio = 0.026,
        .gap_min_ns = INT64_C(6000000000),
        .warm_up_ns = INT64_C(3600000000000),
    };
    if (!conf_enum(map, "preset", presets, &preset, err) ||
        !conf_u32(map, "prompt_max", &model->prompt_max, 2, LENGTH_MAX, err) ||
        !conf_u32(map, "system_tokens", &model->system_tokens, 0, LENGTH_MAX, err)) {
        return false;
    }
    if (model->system_tokens >= model->prompt_max) {
        return conf_fail(map, err,
                         "system_tokens: %u leave no room below prompt_max %u",
                         model->system_tokens, model->prompt_max);
    }
    return conf_f64(map, "session_effect", &model->session_effect, 0, 1, err) &&
           conf_duration_ns(map, "warm_up", &model->warm_up_ns, err) &&
           read_lengths(model, map, err) && read_turns(model, map, err);
}

/* `arrival:` is of sessions, not requests; the preset's rate rises. */
static bool read_starts(struct chat *chat, const struct conf_node *map, struct err *err)
{
    const struct conf_node *arrival = NULL;
    const int64_t start_ns = -chat->model.warm_up_ns;
    if (!conf_map(map, "arrival", &arrival, err)) {
        return false;
    }
    return arrival != NULL
               ? arrival_open(&chat->starts, arrival, start_ns, err)
               : arrival_open_linear(&chat->starts, 1.65, 0.0002, start_ns, err);
}

bool chat_open(struct source **out, const struct conf_node *map,
               const struct population *population, struct err *err)
{
    struct chat *const chat = mem_alloc(1, sizeof(*chat));
    chat->base.type = &chat_type;
    chat->population = *population;
    if (!read_model(&chat->model, map, err) || !read_starts(chat, map, err)) {
        chat->population = (struct population){0}; /* still the caller's */
        chat_close(&chat->base);
        return false;
    }
    rng_init(&chat->start_bits, population->seed, "chat.start", population->number);
    chat->next_start_ns = arrival_next(chat->starts, &chat->start_bits);
    text_add(&chat->base.origin, "chat moon-conv, sessions ");
    arrival_describe(chat->starts, &chat->base.origin);
    *out = &chat->base;
    return true;
}
