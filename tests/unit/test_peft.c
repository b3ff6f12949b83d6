/*
 * Folders of adapters as PEFT has them.
 *
 *   adapter_config.json   what PEFT 0.21 writes; round trips; every key that is refused; hostile
 *                         values, each in one line that names the file and the key
 *   weights               a missing tensor, one of another shape, one too many, a damaged file;
 *                         names of layers that are not there
 */
#include "support/test_check.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/peft.h"
#include "io/safetensors.h"
#include "network/network_io.h"
#include "support/test_folder.h"
#include "support/test_model.h"

static mts_ctx ctx;

/* --------------------------------------------------------------------------- configuration --- */

/* As PEFT 0.21.2 writes it. */
static const char by_peft[] =
    "{\"alora_invocation_tokens\": null, \"alpha_pattern\": {}, \"arrow_config\": null,"
    "\"auto_mapping\": null, \"base_model_name_or_path\": \"x\", \"bias\": \"none\","
    "\"corda_config\": null, \"ensure_weight_tying\": false, \"eva_config\": null,"
    "\"exclude_modules\": null, \"fan_in_fan_out\": false, \"inference_mode\": false,"
    "\"init_lora_weights\": true, \"kasa_config\": null, \"layer_replication\": null,"
    "\"layers_pattern\": null, \"layers_to_transform\": null, \"loftq_config\": {},"
    "\"lora_alpha\": 32, \"lora_bias\": false, \"lora_dropout\": 0.05, \"lora_ga_config\": null,"
    "\"megatron_config\": null, \"megatron_core\": \"megatron.core\", \"modules_to_save\": null,"
    "\"monteclora_config\": null, \"peft_type\": \"LORA\", \"peft_version\": \"0.21.2\","
    "\"qalora_group_size\": 16, \"r\": 16, \"rank_pattern\": {}, \"revision\": null,"
    "\"target_modules\": [\"v_proj\", \"q_proj\"], \"target_parameters\": null,"
    "\"task_type\": \"CAUSAL_LM\", \"trainable_token_indices\": null, \"use_bdlora\": null,"
    "\"use_dora\": false, \"use_qalora\": false, \"use_rslora\": false, \"velora_config\": null}";

static void load_text(const char *text, peft_config *c)
{
    folder_put_text(PEFT_CONFIG, text);
    assert_ok(peft_config_load(&ctx, folder_root(), c));
}

static void assert_config(const peft_config *c, int64_t rank, double alpha, bool rslora,
                          const char *names)
{
    assert_int_equal(c->rank, rank);
    assert_true(c->alpha == alpha);
    assert_int_equal(c->rslora, rslora);
    assert_string_equal(c->targets, names);
}

static void as_peft_writes(void **state)
{
    peft_config c;
    (void)state;
    load_text(by_peft, &c);
    assert_config(&c, 16, 32.0, false, "v_proj,q_proj");
    assert_true(peft_scale(&c) == 2.0);
    peft_config_deinit(&c);
    assert_null(c.targets);
    /* PEFT's defaults for what is not there, as older versions leave keys out */
    load_text("{\"target_modules\": [\"q_proj\"]}", &c);
    assert_config(&c, 8, 8.0, false, "q_proj");
    peft_config_deinit(&c);
    load_text("{\"r\": 4, \"lora_alpha\": 2.5, \"use_rslora\": true, \"target_modules\": "
              "\"all-linear\", \"init_lora_weights\": \"gaussian\", \"modules_to_save\": []}",
              &c);
    assert_config(&c, 4, 2.5, true, "all-linear");
    assert_true(peft_scale(&c) == 1.25);
    peft_config_deinit(&c);
}

/* Heads that are saved whole, the task, dropout. */
static void heads(void **state)
{
    static const struct {
        const char *list, *saved;
    } cases[] = {{"null", NULL},
                 {"[]", NULL},
                 {"[\"classifier\", \"score\"]", "classifier,score"},
                 {"[\"score\"]", "classifier,score"},
                 {"[\"qa_outputs\"]", "qa_outputs"},
                 {"[\"qa_outputs\", \"classifier\"]", "classifier,qa_outputs"}};
    char json[256];
    peft_config c, back;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(json, sizeof json,
                 "{\"target_modules\": [\"query\"], \"modules_to_save\": %s, \"task_type\": "
                 "\"SEQ_CLS\", \"lora_dropout\": 0.25}",
                 cases[i].list);
        load_text(json, &c);
        assert_ok(peft_config_save(&ctx, &c, "base", folder_root()));
        assert_ok(peft_config_load(&ctx, folder_root(), &back));
        for (int k = 0; k < 2; k++) {
            const peft_config *one = k == 0 ? &c : &back;
            assert_true(one->dropout == 0.25);
            assert_string_equal(one->task, "SEQ_CLS");
            if (cases[i].saved == NULL)
                assert_null(one->saved);
            else
                assert_string_equal(one->saved, cases[i].saved);
        }
        peft_config_deinit(&c);
        peft_config_deinit(&back);
    }
    load_text("{\"target_modules\": [\"q\"], \"task_type\": \"as long as a task can be named\"}",
              &c);
    assert_true(strlen(c.task) < PEFT_TASK_BYTES);
    peft_config_deinit(&c);
}

static void round_trips(void **state)
{
    static const peft_config configs[] = {
        {.rank = 1, .alpha = 0.0, .targets = (char *)(uintptr_t) "q_proj"},
        {.rank = 4096, .alpha = 1e9, .rslora = true, .targets = (char *)(uintptr_t) "all-linear"},
        {.rank = 8, .alpha = 0.1, .targets = (char *)(uintptr_t) "q_proj,v_proj,mlp.up_proj"},
        {.rank = 3, .alpha = 16.0, .rslora = true, .targets = (char *)(uintptr_t) "a,b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        const peft_config *c = &configs[i];
        peft_config back;
        assert_ok(peft_config_save(&ctx, c, "/models/\xC3\xA9t\xC3\xA9 \"1\"", folder_root()));
        assert_ok(peft_config_load(&ctx, folder_root(), &back));
        assert_config(&back, c->rank, c->alpha, c->rslora, c->targets);
        assert_true(peft_scale(&back) ==
                    c->alpha / (c->rslora ? sqrt((double)c->rank) : (double)c->rank));
        peft_config_deinit(&back);
    }
}

/* Names separated as a user may do it become a list of names. */
static void written(void **state)
{
    const peft_config c = {.task = "CAUSAL_LM",
                           .rank = 8,
                           .alpha = 16.0,
                           .targets = (char *)(uintptr_t) ", q_proj, v_proj ,"};
    char *text = NULL;
    size_t bytes;
    json_t *json;
    (void)state;
    assert_ok(peft_config_save(&ctx, &c, "base", folder_root()));
    assert_ok(file_read_all(&ctx, folder_at(PEFT_CONFIG), 1 << 20, &text, &bytes));
    json = json_loads(text, 0, NULL);
    const json_t *names = json_object_get(json, "target_modules");
    assert_int_equal(json_array_size(names), 2);
    assert_string_equal(json_string_value(json_array_get(names, 0)), "q_proj");
    assert_string_equal(json_string_value(json_array_get(names, 1)), "v_proj");
    assert_string_equal(json_string_value(json_object_get(json, "peft_type")), "LORA");
    assert_string_equal(json_string_value(json_object_get(json, "task_type")), "CAUSAL_LM");
    assert_string_equal(json_string_value(json_object_get(json, "bias")), "none");
    assert_string_equal(json_string_value(json_object_get(json, "base_model_name_or_path")),
                        "base");
    assert_true(json_is_integer(json_object_get(json, "lora_alpha"))); /* as PEFT's own */
    assert_true(json_is_true(json_object_get(json, "inference_mode")));
    json_decref(json);
    mem_free(text);
}

static void refuse(const char *json, mts_status status, const char *text)
{
    peft_config c;
    folder_put_text(PEFT_CONFIG, json);
    assert_fails(peft_config_load(&ctx, folder_root(), &c), status, text);
    assert_non_null(strstr(ctx.error, PEFT_CONFIG));
    assert_null(c.targets);
}

/* What would be computed otherwise. */
static void unsupported(void **state)
{
    static const char *const keys[] = {"use_dora",
                                       "rank_pattern",
                                       "alpha_pattern",
                                       "modules_to_save",
                                       "layers_to_transform",
                                       "layer_replication",
                                       "lora_bias",
                                       "use_bdlora",
                                       "alora_invocation_tokens",
                                       "fan_in_fan_out",
                                       "use_qalora",
                                       "target_parameters",
                                       "exclude_modules",
                                       "trainable_token_indices",
                                       "arrow_config",
                                       "kasa_config",
                                       "monteclora_config",
                                       "velora_config"};
    static const char *const values[] = {"true", "{\"q_proj\": 4}", "[\"lm_head\"]", "1", "\"x\""};
    static const char *const empty[] = {"false", "{}", "[]", "null"};
    char json[256], text[128];
    (void)state;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            snprintf(json, sizeof json, "{\"target_modules\": [\"q_proj\"], \"%s\": %s}", keys[k],
                     values[v]);
            snprintf(text, sizeof text, "%s is not supported", keys[k]);
            refuse(json, MTS_ERR_UNSUPPORTED, text);
        }
        for (size_t v = 0; v < sizeof empty / sizeof empty[0]; v++) {
            peft_config c;
            snprintf(json, sizeof json, "{\"target_modules\": [\"q_proj\"], \"%s\": %s}", keys[k],
                     empty[v]);
            load_text(json, &c);
            peft_config_deinit(&c);
        }
    }
    refuse("{\"target_modules\": [\"q\"], \"modules_to_save\": [\"score\", \"qa_outputs\"]}",
           MTS_ERR_UNSUPPORTED, "modules_to_save is not supported");
    refuse("{\"target_modules\": [\"q\"], \"modules_to_save\": [3]}", MTS_ERR_UNSUPPORTED,
           "modules_to_save is not supported");
    refuse("{\"target_modules\": [\"q\"], \"lora_dropout\": 1.5}", MTS_ERR_BAD_FILE,
           "lora_dropout");
    refuse("{\"peft_type\": \"IA3\", \"target_modules\": [\"q\"]}", MTS_ERR_UNSUPPORTED,
           "peft_type: expected LORA, found \"IA3\"");
    refuse("{\"bias\": \"lora_only\", \"target_modules\": [\"q\"]}", MTS_ERR_UNSUPPORTED,
           "bias: expected none, found \"lora_only\"");
    refuse("{\"target_modules\": \".*\\\\.(q|v)_proj\"}", MTS_ERR_UNSUPPORTED,
           "target_modules: expected a list of names or all-linear, found the pattern "
           "\".*\\.(q|v)_proj\"");
    refuse("{\"target_modules\": [\"q\"], \"init_lora_weights\": \"pissa_niter_16\"}",
           MTS_ERR_UNSUPPORTED, "init_lora_weights: expected one that leaves the model's weights");
    refuse("{\"target_modules\": [\"q\"], \"init_lora_weights\": \"olora\"}", MTS_ERR_UNSUPPORTED,
           "found olora");
    refuse("{\"target_modules\": [\"q\"], \"init_lora_weights\": 3}", MTS_ERR_UNSUPPORTED,
           "init_lora_weights");
}

static void hostile(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"", "adapter_config.json"},
        {"[]", "expected an object"},
        {"{\"target_modules\": [\"q\"]", "adapter_config.json"},
        {"{}", "target_modules: expected names"},
        {"{\"target_modules\": null}", "target_modules: expected names"},
        {"{\"target_modules\": []}", "target_modules: expected names, found none"},
        {"{\"target_modules\": {}}", "target_modules: expected names"},
        {"{\"target_modules\": [1]}", "target_modules: expected names"},
        {"{\"target_modules\": [\"q\", [\"v\"]]}", "target_modules: expected names"},
        {"{\"target_modules\": [\"\"]}", "target_modules: expected names, found \"\""},
        {"{\"target_modules\": [\"q,v\"]}", "target_modules: expected names, found \"q,v\""},
        {"{\"target_modules\": [\"q v\"]}", "target_modules: expected names, found \"q v\""},
        {"{\"target_modules\": [\"all-linear\"]}", "found \"all-linear\""},
        {"{\"target_modules\": [\"q\\u0000v\"]}", "adapter_config.json"},
        {"{\"target_modules\": [\"q\"], \"r\": 0}", "r: expected"},
        {"{\"target_modules\": [\"q\"], \"r\": -1}", "r: expected"},
        {"{\"target_modules\": [\"q\"], \"r\": 4097}", "r: expected"},
        {"{\"target_modules\": [\"q\"], \"r\": 8.5}", "r: expected"},
        {"{\"target_modules\": [\"q\"], \"r\": \"8\"}", "r: expected"},
        {"{\"target_modules\": [\"q\"], \"r\": 99999999999999999999}", "adapter_config.json"},
        {"{\"target_modules\": [\"q\"], \"lora_alpha\": -1}", "lora_alpha: expected"},
        {"{\"target_modules\": [\"q\"], \"lora_alpha\": 1e300}", "lora_alpha: expected"},
        {"{\"target_modules\": [\"q\"], \"lora_alpha\": 1e999}", "adapter_config.json"},
        {"{\"target_modules\": [\"q\"], \"lora_alpha\": \"x\"}", "lora_alpha: expected"},
        {"{\"target_modules\": [\"q\"], \"use_rslora\": 1}", "use_rslora: expected"},
        {"{\"target_modules\": [\"q\"], \"bias\": 0}", "bias: expected"},
        {"{\"target_modules\": [\"q\"], \"peft_type\": [\"LORA\"]}", "peft_type: expected"},
        {"{\"target_modules\": [\"q\\n\\u001b[31m, \"]}", "target_modules"},
    };
    peft_config c;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(cases[i].json, MTS_ERR_BAD_FILE, cases[i].text);
    assert_fails(peft_config_load(&ctx, folder_at("nowhere"), &c), MTS_ERR_NOT_FOUND,
                 "nowhere/adapter_config.json");
}

/* A long list is a long text, nothing more. */
static void many_targets(void **state)
{
    enum { COUNT = 5000 };
    static char json[COUNT * 16 + 64];
    size_t n = (size_t)snprintf(json, sizeof json, "{\"target_modules\": [\"q\"");
    peft_config c;
    (void)state;
    for (int i = 0; i < COUNT; i++)
        n += (size_t)snprintf(json + n, sizeof json - n, ",\"m%d\"", i);
    snprintf(json + n, sizeof json - n, "]}");
    load_text(json, &c);
    assert_memory_equal(c.targets, "q,m0,m1,", 8);
    assert_non_null(strstr(c.targets, ",m4999"));
    peft_config_deinit(&c);
}

/* --------------------------------------------------------------------------------- weights --- */

static model_config config_of_decoder(void)
{
    static const char json[] =
        "{\"model_type\": \"llama\", \"hidden_size\": 24, \"num_hidden_layers\": 2, "
        "\"num_attention_heads\": 3, \"num_key_value_heads\": 1, \"intermediate_size\": 40, "
        "\"vocab_size\": 50, \"max_position_embeddings\": 64, \"hidden_act\": \"silu\"}";
    model_config cfg;
    folder_put_text("config.json", json);
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    return cfg;
}

/* A tiny decoder with an adapter of this rank, no memory for training. */
static mts_status make_network(int64_t rank, const char *names, network **net)
{
    model_config cfg = config_of_decoder();
    const network_options options = {
        .head = head_class_find("next token"),
        .format = {.kind = FORMAT_FP32},
        .threads = 1,
        .seed = 3,
        .model = {.adapter = {.rank = rank, .scale = 2.0f, .targets = names}},
        .limits = {.eval_rows = 1, .eval_tokens = 1, .max_length = 1}};
    const mts_status st = network_create(&ctx, &cfg, &options, net);
    if (st != MTS_OK)
        model_config_deinit(&cfg);
    return st;
}

/* The adapter's parameters as a file of the folder; change: called for each tensor before it is
 * written, may change all of it; extra: one more. */
typedef struct tensor_to_write {
    char name[PARAM_NAME_BYTES + 32];
    int64_t shape[2];
    int ndim;
    bool left_out;
} tensor_to_write;

static void write_weights(const network *net, void (*change)(int64_t i, tensor_to_write *t),
                          bool extra)
{
    static float zeros[40 * 100];
    safetensors_writer *w;
    int64_t n = 0;
    assert_ok(safetensors_writer_open(&ctx, folder_at(PEFT_WEIGHTS), &w));
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        tensor_to_write t = {.shape = {p->rows, p->cols}, .ndim = 2};
        if (p->part != PARAM_ADAPTER)
            continue;
        snprintf(t.name, sizeof t.name, "%s%s", PEFT_PREFIX, p->name);
        if (change != NULL)
            change(n, &t);
        n++;
        if (!t.left_out)
            assert_ok(safetensors_writer_add(w, t.name, ST_DTYPE_F32, t.ndim, t.shape,
                                             change == NULL ? p->value : zeros));
    }
    if (extra)
        assert_ok(safetensors_writer_add(w, "base_model.model.lm_head.weight", ST_DTYPE_F32, 2,
                                         (const int64_t[2]){2, 3}, zeros));
    assert_ok(safetensors_writer_commit(w));
    safetensors_writer_close(w);
}

static void leave_out_third(int64_t i, tensor_to_write *t)
{
    t->left_out = i == 2;
}

static void without_prefix(int64_t i, tensor_to_write *t)
{
    (void)i;
    memmove(t->name, t->name + strlen(PEFT_PREFIX), strlen(t->name + strlen(PEFT_PREFIX)) + 1);
}

static void turn_first(int64_t i, tensor_to_write *t)
{
    const int64_t rows = t->shape[0];
    if (i == 0) {
        t->shape[0] = t->shape[1];
        t->shape[1] = rows;
    }
}

static void flatten_last(int64_t i, tensor_to_write *t)
{
    if (i == 7) {
        t->shape[0] *= t->shape[1];
        t->ndim = 1;
    }
}

static void weights_round_trip(void **state)
{
    network *a, *b;
    (void)state;
    assert_ok(make_network(4, "q_proj,v_proj", &a));
    assert_ok(make_network(4, "q_proj,v_proj", &b));
    test_random r = test_random_make("adapter");
    for (int64_t i = 0; i < a->params.count; i++)
        if (a->params.items[i]->part == PARAM_ADAPTER)
            test_fill_normal(&r, a->params.items[i]->value, param_size(a->params.items[i]), 0.0,
                             1.0);
    assert_true(network_has_adapter(a));
    write_weights(a, NULL, false);
    assert_ok(network_load_adapter(&ctx, b, folder_root(), HEAD_NEEDED, NULL));
    int64_t count = 0;
    for (int64_t i = 0; i < a->params.count; i++) {
        const param *p = a->params.items[i];
        if (p->part != PARAM_ADAPTER)
            continue;
        test_assert_same(p->name, b->params.items[i]->value, p->value, param_size(p));
        count++;
    }
    assert_int_equal(count, 2 * 2 * 2); /* layers, modules, A and B */
    network_destroy(a);
    network_destroy(b);
}

static void refuse_weights(network *net, const char *text)
{
    assert_fails(network_load_adapter(&ctx, net, folder_root(), HEAD_NEEDED, NULL),
                 MTS_ERR_BAD_FILE, text);
    assert_non_null(strstr(ctx.error, PEFT_WEIGHTS));
}

static void bad_weights(void **state)
{
    network *net, *other;
    char *bytes = NULL;
    size_t n;
    (void)state;
    assert_ok(make_network(4, "q_proj,v_proj", &net));
    write_weights(net, leave_out_third, false);
    refuse_weights(net, "no tensor base_model.model.model.layers.0.self_attn.");
    write_weights(net, without_prefix, false);
    refuse_weights(net, "no tensor base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight");
    write_weights(net, turn_first, false);
    refuse_weights(net, "expected shape [4, 24], found 2 dimensions, the first 24");
    write_weights(net, flatten_last, false);
    refuse_weights(net, "found 1 dimensions");
    write_weights(net, NULL, true);
    refuse_weights(net, "expected 8 tensors, found 9");
    /* of another rank, and of other modules */
    assert_ok(make_network(2, "q_proj,v_proj", &other));
    write_weights(other, NULL, false);
    refuse_weights(net, "expected shape [4, 24], found 2 dimensions, the first 2");
    network_destroy(other);
    assert_ok(make_network(4, "q_proj,k_proj", &other));
    write_weights(other, NULL, false);
    refuse_weights(net, "no tensor base_model.model.model.layers.0.self_attn.v_proj");
    network_destroy(other);
    assert_ok(make_network(4, "q_proj,v_proj,o_proj", &other));
    write_weights(other, NULL, false);
    refuse_weights(net, "expected 8 tensors, found 12");
    network_destroy(other);
    /* cut anywhere */
    write_weights(net, NULL, false);
    assert_ok(file_read_all(&ctx, folder_at(PEFT_WEIGHTS), 1 << 20, &bytes, &n));
    for (size_t cut = 0; cut < n; cut += 97) {
        folder_put(PEFT_WEIGHTS, bytes, cut);
        refuse_weights(net, PEFT_WEIGHTS);
    }
    mem_free(bytes);
    assert_int_equal(unlink(folder_at(PEFT_WEIGHTS)), 0);
    assert_fails(network_load_adapter(&ctx, net, folder_root(), HEAD_NEEDED, NULL),
                 MTS_ERR_NOT_FOUND, PEFT_WEIGHTS);
    network_destroy(net);
}

/* Every name must be the end of a layer's: one that is misspelt is not passed over. */
static void names_of_layers(void **state)
{
    static const struct {
        const char *names, *text; /* text NULL: an adapter */
    } cases[] = {
        {"all-linear", NULL},
        {"q_proj", NULL},
        {"self_attn.q_proj, mlp.up_proj", NULL},
        {"gate_proj,down_proj,", NULL},
        {"none", "found \"none\", which none ends in"},
        {"q_proj,vproj", "found \"vproj\", which none ends in"},
        {"proj", "found \"proj\", which none ends in"}, /* behind a point only */
        {"attn.q_proj", "found \"attn.q_proj\""},
        {"lm_head", "found \"lm_head\""},
        {"q_proj,embed_tokens", "found \"embed_tokens\""},
        {"all-linear,q_proj", "found \"all-linear\""},
        {", ", "expected names, found none"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        network *net = NULL;
        if (cases[i].text == NULL)
            assert_ok(make_network(2, cases[i].names, &net));
        else
            assert_fails(make_network(2, cases[i].names, &net), MTS_ERR_ARGUMENT, cases[i].text);
        network_destroy(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_peft_writes), cmocka_unit_test(heads),
        cmocka_unit_test(round_trips),    cmocka_unit_test(written),
        cmocka_unit_test(unsupported),    cmocka_unit_test(hostile),
        cmocka_unit_test(many_targets),   cmocka_unit_test(weights_round_trip),
        cmocka_unit_test(bad_weights),    cmocka_unit_test(names_of_layers),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
