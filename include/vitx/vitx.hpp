/*
 * vitx/vitx.hpp: vitx for C++11: handles that free themselves, failures as exceptions.
 *
 *     vitx::model model("deit_tiny/");
 *     vitx::context context(model);
 *     vitx::image image("cat.jpg");
 *     std::vector<vitx_prediction> top = context.classify(image, 5);
 *
 *     vitx_explain_opts opts = vitx::explain_opts("rollout", top[0].index);
 *     context.explain(image, opts).render(&image, "cat.overlay.png");
 *
 * A thin layer over the C headers, which say what everything means; there is nothing to link but
 * libvitx. Handles can be moved, not copied; get() gives the C handle for what has no method here.
 * A model must outlive its contexts, as in C. Thread rules are those of the C functions.
 */
#ifndef VITX_VITX_HPP
#define VITX_VITX_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <vitx/vitx.h>

namespace vitx
{

/** A call that failed: what() is the library's message, status() one of vitx_status. */
class error : public std::runtime_error
{
  public:
    error(int status, const char *message) : std::runtime_error(message), status_(status)
    {
    }
    int status() const noexcept
    {
        return status_;
    }

  private:
    int status_;
};

/** Throws vitx::error where a C function's status is not VITX_OK. */
inline void check(int status)
{
    if (status != VITX_OK)
        throw error(status, vitx_last_error());
}

/** Option structs with their defaults: set what differs. */
inline vitx_model_opts model_opts()
{
    vitx_model_opts opts;
    vitx_model_opts_init(&opts, sizeof opts);
    return opts;
}
inline vitx_context_opts context_opts()
{
    vitx_context_opts opts;
    vitx_context_opts_init(&opts, sizeof opts);
    return opts;
}
inline vitx_image_opts image_opts()
{
    vitx_image_opts opts;
    vitx_image_opts_init(&opts, sizeof opts);
    return opts;
}
inline vitx_trace_opts trace_opts(vitx_record record)
{
    vitx_trace_opts opts;
    vitx_trace_opts_init(&opts, sizeof opts);
    opts.record = record;
    return opts;
}
/** @param method  kept as a pointer, as in C; so is opts.baseline: baseline_picture.get() */
inline vitx_explain_opts explain_opts(const char *method, int target = VITX_AUTO)
{
    vitx_explain_opts opts;
    vitx_explain_opts_init(&opts, sizeof opts);
    opts.method = method;
    opts.target = target;
    return opts;
}
/** Why `target` and not `versus`: the difference of their logits. */
inline vitx_explain_opts explain_opts(const char *method, int target, int versus)
{
    vitx_explain_opts opts = explain_opts(method, target);
    opts.score = VITX_SCORE_DIFFERENCE;
    opts.versus = versus;
    return opts;
}
/** @param metric  kept as a pointer, as in C */
inline vitx_evaluate_opts evaluate_opts(const char *metric)
{
    vitx_evaluate_opts opts;
    vitx_evaluate_opts_init(&opts, sizeof opts);
    opts.metric = metric;
    return opts;
}
inline vitx_render_opts render_opts()
{
    vitx_render_opts opts;
    vitx_render_opts_init(&opts, sizeof opts);
    return opts;
}
inline vitx_stats_render_opts stats_render_opts()
{
    vitx_stats_render_opts opts;
    vitx_stats_render_opts_init(&opts, sizeof opts);
    return opts;
}

/** How std::unique_ptr frees the C handles. */
struct release {
    void operator()(vitx_model *handle) const noexcept
    {
        vitx_model_free(handle);
    }
    void operator()(vitx_context *handle) const noexcept
    {
        vitx_context_free(handle);
    }
    void operator()(vitx_image *handle) const noexcept
    {
        vitx_image_free(handle);
    }
    void operator()(vitx_map *handle) const noexcept
    {
        vitx_map_free(handle);
    }
    void operator()(vitx_evaluation *handle) const noexcept
    {
        vitx_evaluation_free(handle);
    }
    void operator()(vitx_stats *handle) const noexcept
    {
        vitx_stats_free(handle);
    }
};

/** Collects what the _write functions give; for this header's own use. */
class collected
{
  public:
    static int append(const void *data, std::size_t bytes, void *payload)
    {
        collected *out = static_cast<collected *>(payload);
        try {
            out->bytes_.append(static_cast<const char *>(data), bytes);
        } catch (...) { /* exceptions must not pass through C */
            out->thrown_ = std::current_exception();
            return 1;
        }
        return 0;
    }
    /** The bytes, or the exception of the call that gave `status`. */
    std::string take(int status)
    {
        if (thrown_)
            std::rethrow_exception(thrown_);
        check(status);
        return std::move(bytes_);
    }

  private:
    std::string bytes_;
    std::exception_ptr thrown_;
};

/** A picture: vitx/image.h. */
class image
{
  public:
    explicit image(const std::string &path, const vitx_image_opts *opts = nullptr)
    {
        vitx_image *handle;
        check(vitx_image_open_with(&handle, path.c_str(), opts));
        handle_.reset(handle);
    }
    /** A file's bytes in memory. */
    image(const void *data, std::size_t bytes, const char *name,
          const vitx_image_opts *opts = nullptr)
    {
        vitx_image *handle;
        check(vitx_image_open_memory(&handle, data, bytes, name, opts));
        handle_.reset(handle);
    }
    /** Pixels, copied: [height, stride], 3 bytes each; stride 0: 3*width. */
    image(const std::uint8_t *rgb, int width, int height, std::size_t stride = 0,
          const vitx_image_opts *opts = nullptr)
    {
        vitx_image *handle;
        check(vitx_image_from_rgb(&handle, rgb, width, height, stride, opts));
        handle_.reset(handle);
    }
    int width() const
    {
        return vitx_image_width(get());
    }
    int height() const
    {
        return vitx_image_height(get());
    }
    const std::uint8_t *pixels() const
    {
        return vitx_image_pixels(get());
    }
    vitx_image *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_image, release> handle_;
};

/** A finished map: vitx/explain.h. */
class map
{
  public:
    /** Takes over a C handle. */
    explicit map(vitx_map *handle) noexcept : handle_(handle)
    {
    }
    vitx_map_info info() const
    {
        vitx_map_info info;
        vitx_map_info_init(&info, sizeof info);
        check(vitx_map_get_info(&info, get()));
        return info;
    }
    /** info().shape, C order; the values live as long as the map. */
    const float *values() const
    {
        return vitx_map_values(get());
    }
    map resize(int height, int width) const
    {
        vitx_map *out;
        check(vitx_map_resize(&out, get(), height, width));
        return map(out);
    }
    map to_picture() const
    {
        vitx_map *out;
        check(vitx_map_to_picture(&out, get()));
        return map(out);
    }
    /** @param picture  may be nullptr where vitx_render() says so */
    void render(const image *picture, const std::string &path,
                const vitx_render_opts *opts = nullptr) const
    {
        check(vitx_render(get(), picture ? picture->get() : nullptr, path.c_str(), opts));
    }
    /** The same into memory; opts.format is required. */
    std::string render(const image *picture, const vitx_render_opts &opts) const
    {
        collected out;
        const int status = vitx_render_write(get(), picture ? picture->get() : nullptr,
                                             collected::append, &out, &opts);
        return out.take(status);
    }
    vitx_map *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_map, release> handle_;
};

/** What a metric said of a map: vitx/evaluate.h. */
class evaluation
{
  public:
    /** Takes over a C handle. */
    explicit evaluation(vitx_evaluation *handle) noexcept : handle_(handle)
    {
    }
    /** What it points to lives as long as the evaluation. */
    vitx_evaluation_info info() const
    {
        vitx_evaluation_info info;
        vitx_evaluation_info_init(&info, sizeof info);
        check(vitx_evaluation_get_info(&info, get()));
        return info;
    }
    vitx_evaluation *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_evaluation, release> handle_;
};

/** Weights, architecture, labels: vitx/model.h. */
class model
{
  public:
    explicit model(const std::string &path, const vitx_model_opts *opts = nullptr)
    {
        vitx_model *handle;
        check(vitx_model_open(&handle, path.c_str(), opts));
        handle_.reset(handle);
    }
    vitx_model_info info() const
    {
        vitx_model_info info;
        vitx_model_info_init(&info, sizeof info);
        check(vitx_model_get_info(&info, get()));
        return info;
    }
    /** nullptr where the class has no name. */
    const char *label(int index) const
    {
        return vitx_model_label(get(), index);
    }
    int find_label(const std::string &text) const
    {
        int index;
        check(vitx_model_find_label(&index, get(), text.c_str()));
        return index;
    }
    vitx_model *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_model, release> handle_;
};

/** What there is to choose from: vitx/explain.h. */
inline std::vector<vitx_method_info> methods()
{
    std::vector<vitx_method_info> list(static_cast<std::size_t>(vitx_method_count()));
    for (std::size_t i = 0; i < list.size(); i++) {
        vitx_method_info_init(&list[i], sizeof list[i]);
        check(vitx_method_get(&list[i], static_cast<int>(i)));
    }
    return list;
}

/** vitx/evaluate.h. */
inline std::vector<vitx_metric_info> metrics()
{
    std::vector<vitx_metric_info> list(static_cast<std::size_t>(vitx_metric_count()));
    for (std::size_t i = 0; i < list.size(); i++) {
        vitx_metric_info_init(&list[i], sizeof list[i]);
        check(vitx_metric_get(&list[i], static_cast<int>(i)));
    }
    return list;
}

/** Runs a model: vitx/context.h. One thread at a time. */
class context
{
  public:
    explicit context(const model &runs, const vitx_context_opts *opts = nullptr)
    {
        vitx_context *handle;
        check(vitx_context_create(&handle, runs.get(), opts));
        handle_.reset(handle);
    }
    vitx_context_info info() const
    {
        vitx_context_info info;
        vitx_context_info_init(&info, sizeof info);
        check(vitx_context_get_info(&info, get()));
        return info;
    }
    /** The k most probable classes, best first; entries beyond the model's have index -1. */
    std::vector<vitx_prediction> classify(const image &picture, int k)
    {
        std::vector<vitx_prediction> top(k > 0 ? static_cast<std::size_t>(k) : 0);
        check(vitx_classify(get(), picture.get(), top.data(), k));
        return top;
    }
    map explain(const image &picture, const vitx_explain_opts &opts)
    {
        vitx_map *out;
        check(vitx_explain(&out, get(), picture.get(), &opts));
        return map(out);
    }
    /** All maps of one picture from one forward pass, in the order of `opts`. */
    std::vector<map> explain(const image &picture, const std::vector<vitx_explain_opts> &opts)
    {
        const vitx_image *handle = picture.get();
        std::vector<vitx_map *> out(opts.size());
        std::vector<map> maps;
        maps.reserve(opts.size());
        const int status = vitx_explain_many(out.data(), get(), &handle, 1, opts.data(),
                                             static_cast<int>(opts.size()));
        for (vitx_map *one : out) /* finished ones are to be freed after a failure, too */
            maps.emplace_back(one);
        check(status);
        return maps;
    }
    /** Measures a map of that picture. */
    evaluation evaluate(const image &picture, const map &one, const vitx_evaluate_opts &opts)
    {
        vitx_evaluation *out;
        check(vitx_evaluate(&out, get(), picture.get(), one.get(), &opts));
        return evaluation(out);
    }
    /** A map that knows nothing, to compare with. */
    map blind(const image &picture, vitx_blind kind, int seed = 0, int target = VITX_AUTO)
    {
        vitx_map *out;
        check(vitx_map_blind(&out, get(), picture.get(), kind, seed, target));
        return map(out);
    }
    /** A map of values [height, width] that were made elsewhere. */
    map map_of(const image &picture, const float *values, int height, int width,
               int target = VITX_AUTO)
    {
        vitx_map *out;
        check(vitx_map_of_values(&out, get(), picture.get(), values, height, width, target));
        return map(out);
    }
    /** Keeps logits and, after set_trace(), attention, for logits() and attention(). */
    void forward(const image &picture)
    {
        const vitx_image *handle = picture.get();
        check(vitx_forward(get(), &handle, 1));
    }
    /** Times each operation from now on, counted from 0; or stops, and the counts stay. */
    void set_profile(bool on)
    {
        check(vitx_context_set_profile(get(), on));
    }

    /** What each operation took while a profile was on; those that never ran are among them. */
    std::vector<vitx_op_time> op_times() const
    {
        std::vector<vitx_op_time> times;
        vitx_op_time one = VITX_OP_TIME_INIT;
        while (vitx_context_get_op_time(&one, get(), static_cast<int>(times.size())) == VITX_OK)
            times.push_back(one);
        return times;
    }

    void set_trace(const vitx_trace_opts &opts)
    {
        check(vitx_context_set_trace(get(), &opts));
    }
    vitx_view logits() const
    {
        vitx_view view;
        check(vitx_logits(&view, get()));
        return view;
    }
    vitx_view attention(int layer) const
    {
        vitx_view view;
        check(vitx_attention(&view, get(), layer));
        return view;
    }
    vitx_context *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_context, release> handle_;
};

/** Attention statistics over many pictures: vitx/measure.h. The context must outlive every add(). */
class stats
{
  public:
    explicit stats(context &runs)
    {
        vitx_stats *handle;
        check(vitx_stats_create(&handle, runs.get()));
        handle_.reset(handle);
    }
    void add(const image &picture)
    {
        const vitx_image *handle = picture.get();
        check(vitx_stats_add(get(), &handle, 1));
    }
    /** Several pictures run together, as many as the context's max_batch. */
    void add(const std::vector<const image *> &pictures)
    {
        std::vector<const vitx_image *> handles;
        handles.reserve(pictures.size());
        for (const image *one : pictures)
            handles.push_back(one->get());
        check(vitx_stats_add(get(), handles.data(), static_cast<int>(handles.size())));
    }
    vitx_stats_info info() const
    {
        vitx_stats_info info;
        vitx_stats_info_init(&info, sizeof info);
        check(vitx_stats_get_info(&info, get()));
        return info;
    }
    /** [layers, heads]; the values live as long as the collection. */
    const double *mean(vitx_stat stat) const
    {
        return vitx_stats_mean(get(), stat);
    }
    const double *spread(vitx_stat stat) const
    {
        return vitx_stats_spread(get(), stat);
    }
    /** [heads, heads] */
    const double *similarity(int layer) const
    {
        return vitx_stats_similarity(get(), layer);
    }
    vitx_head_info head(int layer, int head) const
    {
        vitx_head_info info;
        vitx_head_info_init(&info, sizeof info);
        check(vitx_stats_head(&info, get(), layer, head));
        return info;
    }
    vitx_artifacts artifacts(int layer) const
    {
        vitx_artifacts info;
        vitx_artifacts_init(&info, sizeof info);
        check(vitx_stats_artifacts(&info, get(), layer));
        return info;
    }
    std::vector<std::string> warnings() const
    {
        std::vector<std::string> all;
        for (int i = 0; const char *text = vitx_stats_warning(get(), i); i++)
            all.push_back(text);
        return all;
    }
    void render(const std::string &path, const vitx_stats_render_opts *opts = nullptr) const
    {
        check(vitx_stats_render(get(), path.c_str(), opts));
    }
    /** The same into memory; opts.format is required. */
    std::string render(const vitx_stats_render_opts &opts) const
    {
        collected out;
        const int status = vitx_stats_render_write(get(), collected::append, &out, &opts);
        return out.take(status);
    }
    vitx_stats *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_stats, release> handle_;
};

} // namespace vitx

#endif
