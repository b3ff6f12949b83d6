/*
 * Canonical composition, NFC, as Hugging Face's tokenizers do it: Unicode 9.0, whatever utf8proc is
 * installed; later code points are left alone.  [Unicode 15.0, section 3.11]
 *
 * Path: bpe_split -> nfc_normalize.
 */
#ifndef MTS_TEXT_NFC_H
#define MTS_TEXT_NFC_H

#include "text/bert_normalizer.h"

/* One part of a decomposed code point. */
typedef struct nfc_part {
    int64_t order; /* combining class * 2^40 + place: sorting by it is a stable sort by class */
    int32_t code;
    int32_t change; /* code points of the text: 1 - change are used up by this part, none if > 0 */
} nfc_part;

/* Working memory of nfc_normalize, reused from call to call; {0} to begin. */
typedef struct nfc_scratch {
    nfc_part *parts;
    int64_t count, room;
} nfc_scratch;

void nfc_scratch_deinit(nfc_scratch *scratch);

/*
 * Normalise in[count] into *out (emptied first).  A composed code point has the place of the first
 * one that it took; the parts of a decomposed one share its place, as in Hugging Face's alignments.
 * Cost O(count), O(count log count) in runs of unordered marks.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status nfc_normalize(mts_ctx *ctx, const bert_char *in, int64_t count,
                                       nfc_scratch *scratch, bert_text *out);

#endif
