/* Entities and their scores.  See entity_metrics.h. */
#include "tasks/entity_metrics.h"

#include <math.h>
#include <string.h>

#include "base/utf8.h"

/* The first character of a tag, and its type: what is behind the first dash of the rest, or the
 * rest without one; "_" where that is empty. */
static entity_state read_tag(const char *tag)
{
    entity_state s = {0};
    const char *rest = tag + utf8_decode(tag, strlen(tag), &s.letter);
    const char *dash = strchr(rest, '-');
    s.type = dash != NULL ? dash + 1 : rest;
    if (*s.type == '\0')
        s.type = "_";
    return s;
}

/* O, and the point that conlleval.pl takes for it, are in no entity. */
static bool is_inside(int32_t letter)
{
    return letter != 'O' && letter != '.';
}

static bool differ(const entity_state *a, const entity_state *b)
{
    return strcmp(a->type, b->type) != 0;
}

/* Whether an entity ends between two words. */
static bool ends(const entity_state *before, const entity_state *here)
{
    const int32_t a = before->letter, b = here->letter;
    return a == 'E' || a == 'S' || ((a == 'B' || a == 'I') && (b == 'B' || b == 'S' || b == 'O')) ||
           (is_inside(a) && differ(before, here));
}

/* Whether an entity begins at the second of them. */
static bool begins(const entity_state *before, const entity_state *here)
{
    const int32_t a = before->letter, b = here->letter;
    return b == 'B' || b == 'S' || ((a == 'E' || a == 'O') && (b == 'E' || b == 'I')) ||
           (a == 'S' && (b == 'E' || b == 'I')) || (is_inside(b) && differ(before, here));
}

void entity_metrics_init(entity_metrics *m)
{
    const entity_state start = {.letter = 'O', .type = ""};
    *m = (entity_metrics){.truth = start, .found = start};
}

/* Go on to the next tag; *ended: an entity ended before it, which *before then is of. */
static void step(entity_state *s, const char *tag, int64_t at, bool *ended, entity_state *before)
{
    entity_state here = read_tag(tag);
    *before = *s;
    *ended = ends(s, &here);
    here.begin = begins(s, &here) ? at : s->begin;
    *s = here;
}

/* Both sequences one place on. */
static void advance(entity_metrics *m, const char *truth, const char *found)
{
    bool a = false, b = false;
    entity_state true_one, found_one;
    step(&m->truth, truth, m->at, &a, &true_one);
    step(&m->found, found, m->at, &b, &found_one);
    m->true_entities += a;
    m->found_entities += b;
    m->equal_entities +=
        a && b && true_one.begin == found_one.begin && !differ(&true_one, &found_one);
    m->at++;
}

void entity_metrics_add(entity_metrics *m, const char *truth, const char *found)
{
    advance(m, truth, found);
    m->words++;
    m->right += strcmp(truth, found) == 0;
}

void entity_metrics_end(entity_metrics *m)
{
    advance(m, "O", "O");
}

static double ratio(int64_t part, int64_t whole)
{
    return whole == 0 ? 0.0 : (double)part / (double)whole;
}

entity_scores entity_metrics_finish(const entity_metrics *m)
{
    entity_scores s = {.precision = ratio(m->equal_entities, m->found_entities),
                       .recall = ratio(m->equal_entities, m->true_entities)};
    const double sum = s.precision + s.recall;
    s.f1 = sum > 0.0 ? 2.0 * s.precision * s.recall / sum : 0.0;
    s.accuracy = m->words == 0 ? (double)NAN : (double)m->right / (double)m->words;
    return s;
}

bool entity_tag_is_usual(const char *tag)
{
    return tag[0] != '\0' && strchr("BIES", tag[0]) != NULL ? tag[1] == '\0' || tag[1] == '-'
                                                            : strcmp(tag, "O") == 0;
}
