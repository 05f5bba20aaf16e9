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
 * A thin layer over the C headers. The C headers say what everything means. Link only libvitx.
 * Handles can be moved, not copied. get() gives the C handle, for functions of the C headers. Every
 * C function that fails by a status has a method or a function here; those that only give a name
 * (vitx_status_name(), vitx_colormap_name() ..) are as good in C++ as they are. A model stays
 * alive until its last context is freed, like in C. Thread rules are those of the C functions.
 *
 * Members of the structs that are returned here:
 *     vitx_prediction   index (-1: none), logit, probability, label (may be null;
 *                       vitx::label() is not)
 *     vitx_map_info     method, target, logit, probability, shape[0..rank-1], is_signed ..:
 *                       vitx/explain.h
 *     vitx_view         data, dtype, rank, shape[4], stride[4] (in elements): vitx/base.h
 *     vitx_model_info   family, depth, width, heads, classes, units ..: vitx/model.h
 *     vitx_context_info device, threads, input_height, input_width ..: vitx/context.h
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
    error(int status, const char *message)
        : std::runtime_error(message), status_(status), field_(vitx_last_error_field()),
          subject_(text(vitx_last_error_subject()))
    {
    }
    int status() const noexcept
    {
        return status_;
    }
    /** The option that the message is about, "" if it is about none: vitx_last_error_field(). */
    const char *field() const noexcept
    {
        return field_ ? field_ : "";
    }
    /** The file that the message is about, "" if it is about none: vitx_last_error_subject(). */
    const std::string &subject() const noexcept
    {
        return subject_;
    }

  private:
    static const char *text(const char *of) noexcept
    {
        return of ? of : "";
    }
    int status_;
    const char *field_;
    std::string subject_;
};

/** Throws vitx::error if a C function's status is not VITX_OK. */
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
/**
 * @param method  kept as a pointer, like in C. opts.baseline is a pointer, too:
 *                baseline_picture.get()
 */
inline vitx_explain_opts explain_opts(const char *method, int target = VITX_AUTO)
{
    vitx_explain_opts opts;
    vitx_explain_opts_init(&opts, sizeof opts);
    opts.method = method;
    opts.target = target;
    return opts;
}
/** Why `target` and not `versus`: explains the difference of their logits. */
inline vitx_explain_opts explain_opts(const char *method, int target, int versus)
{
    vitx_explain_opts opts = explain_opts(method, target);
    opts.score = VITX_SCORE_DIFFERENCE;
    opts.versus = versus;
    return opts;
}
/** @param metric  kept as a pointer, like in C */
inline vitx_evaluate_opts evaluate_opts(const char *metric)
{
    vitx_evaluate_opts opts;
    vitx_evaluate_opts_init(&opts, sizeof opts);
    opts.metric = metric;
    return opts;
}
inline vitx_plot_opts plot_opts()
{
    vitx_plot_opts opts;
    vitx_plot_opts_init(&opts, sizeof opts);
    return opts;
}
inline vitx_render_opts render_opts()
{
    vitx_render_opts opts;
    vitx_render_opts_init(&opts, sizeof opts);
    return opts;
}
inline vitx_report_opts report_opts()
{
    vitx_report_opts opts;
    vitx_report_opts_init(&opts, sizeof opts);
    return opts;
}
inline vitx_stats_render_opts stats_render_opts()
{
    vitx_stats_render_opts opts;
    vitx_stats_render_opts_init(&opts, sizeof opts);
    return opts;
}

/** The name of a predicted class, "" if it has none; lives as long as the model. */
inline const char *label(const vitx_prediction &prediction) noexcept
{
    return prediction.label ? prediction.label : "";
}

/** Inputs that are normalised already, [count, 3, height, width]; read during a call, not kept. */
struct inputs {
    const float *data;
    int count, height, width;
};

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
    void operator()(vitx_basis *handle) const noexcept
    {
        vitx_basis_free(handle);
    }
    void operator()(vitx_evaluation *handle) const noexcept
    {
        vitx_evaluation_free(handle);
    }
    void operator()(vitx_stats *handle) const noexcept
    {
        vitx_stats_free(handle);
    }
    void operator()(vitx_report *handle) const noexcept
    {
        vitx_report_free(handle);
    }
};

/** Collects the output of the _write functions; for this header's own use. */
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
    /** Returns the bytes, or throws the exception for `status`. */
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
    /** Takes over a C handle. */
    explicit image(vitx_image *handle) noexcept : handle_(handle)
    {
    }
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
    /** Pixels of another layout, copied; alpha is dropped. */
    image(const std::uint8_t *pixels, vitx_pixels layout, int width, int height,
          std::size_t stride = 0, const vitx_image_opts *opts = nullptr)
    {
        vitx_image *handle;
        check(vitx_image_from_pixels(&handle, pixels, layout, width, height, stride, opts));
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
    /** 1 where the smallest set of values lies that has `share` of the mass, else 0. */
    map mask(double share) const
    {
        vitx_map *out;
        check(vitx_map_mask(&out, get(), share));
        return map(out);
    }
    /** The values of the first and the last colour of a png: vitx_render_ends(). */
    std::pair<float, float> ends(const vitx_render_opts *opts = nullptr) const
    {
        std::pair<float, float> out;
        check(vitx_render_ends(&out.first, &out.second, get(), opts));
        return out;
    }
    map to_picture() const
    {
        vitx_map *out;
        check(vitx_map_to_picture(&out, get()));
        return map(out);
    }
    /** @param picture  may be nullptr if vitx_render() allows NULL */
    void render(const image *picture, const std::string &path,
                const vitx_render_opts *opts = nullptr) const
    {
        check(vitx_render(get(), picture ? picture->get() : nullptr, path.c_str(), opts));
    }
    /** render() into memory; opts.format is required. */
    std::string render(const image *picture, const vitx_render_opts &opts) const
    {
        collected out;
        const int status = vitx_render_write(get(), picture ? picture->get() : nullptr,
                                             collected::append, &out, &opts);
        return out.take(status);
    }
    /** The drawing of a png as pixels. */
    image draw(const image *picture, const vitx_render_opts *opts = nullptr) const
    {
        vitx_image *out;
        check(vitx_render_image(&out, get(), picture ? picture->get() : nullptr, opts));
        return image(out);
    }
    vitx_map *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_map, release> handle_;
};

/** The result of a metric for a map: vitx/evaluate.h. */
class evaluation
{
  public:
    /** Takes over a C handle. */
    explicit evaluation(vitx_evaluation *handle) noexcept : handle_(handle)
    {
    }
    /** Pointers in the info live as long as the evaluation. */
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
    /**
     * The files of a model's folder in memory. `name` stands in messages. The data of weight files
     * must stay as it is until the model and its contexts are gone.
     */
    model(const std::string &name, const std::vector<vitx_memory_file> &files,
          const vitx_model_opts *opts = nullptr)
    {
        vitx_model_opts with = opts ? *opts : model_opts();
        vitx_model *handle;
        with.files = files.data();
        with.file_count = static_cast<int>(files.size());
        check(vitx_model_open(&handle, name.c_str(), &with));
        handle_.reset(handle);
    }
    vitx_model_info info() const
    {
        vitx_model_info info;
        vitx_model_info_init(&info, sizeof info);
        check(vitx_model_get_info(&info, get()));
        return info;
    }
    /** SHA-256 of the weights, in hexadecimal. */
    std::string digest() const
    {
        char text[VITX_DIGEST_TEXT];
        check(vitx_model_digest(text, get()));
        return text;
    }
    /** The name of a class, "" if it has none; lives as long as the model. */
    const char *label(int index) const
    {
        const char *name = vitx_model_label(get(), index);
        return name ? name : "";
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

/** All methods: vitx/explain.h. */
inline std::vector<vitx_method_info> methods()
{
    std::vector<vitx_method_info> list(static_cast<std::size_t>(vitx_method_count()));
    for (std::size_t i = 0; i < list.size(); i++) {
        vitx_method_info_init(&list[i], sizeof list[i]);
        check(vitx_method_get(&list[i], static_cast<int>(i)));
    }
    return list;
}

/** All metrics: vitx/evaluate.h. */
inline std::vector<vitx_metric_info> metrics()
{
    std::vector<vitx_metric_info> list(static_cast<std::size_t>(vitx_metric_count()));
    for (std::size_t i = 0; i < list.size(); i++) {
        vitx_metric_info_init(&list[i], sizeof list[i]);
        check(vitx_metric_get(&list[i], static_cast<int>(i)));
    }
    return list;
}

/** What recording takes: vitx_trace_bytes_with(). */
inline std::size_t trace_bytes(const model &runs, const vitx_trace_opts &opts, int batch,
                               const vitx_context_opts *context = nullptr)
{
    std::size_t bytes;
    check(vitx_trace_bytes_with(&bytes, runs.get(), context, &opts, batch));
    return bytes;
}

/** Per second: operations of a product of matrices, bytes of a copy. */
struct peak {
    double flops, bytes;
};

/** Runs a model: vitx/context.h. One thread at a time. */
class context
{
  public:
    /** info() of a context with these options, which is not made. */
    static vitx_context_info preview(const model &runs, const vitx_context_opts *opts = nullptr)
    {
        vitx_context_info info;
        vitx_context_info_init(&info, sizeof info);
        check(vitx_context_preview(&info, nullptr, 0, runs.get(), opts));
        return info;
    }
    explicit context(const model &runs, const vitx_context_opts *opts = nullptr)
    {
        vitx_context *handle;
        check(vitx_context_create(&handle, runs.get(), opts));
        handle_.reset(handle);
        outputs_ = static_cast<std::size_t>(runs.info().classes);
    }
    vitx_context_info info() const
    {
        vitx_context_info info;
        vitx_context_info_init(&info, sizeof info);
        check(vitx_context_get_info(&info, get()));
        return info;
    }
    /**
     * The k most probable classes, best first; entries beyond the model's classes have index -1.
     */
    std::vector<vitx_prediction> classify(const image &picture, int k)
    {
        std::vector<vitx_prediction> top(size_of(k));
        check(vitx_classify(get(), picture.get(), top.data(), k));
        return top;
    }
    /** classify() for several pictures: [pictures, k], in the order of the pictures. */
    std::vector<vitx_prediction> classify(const std::vector<const image *> &pictures, int k)
    {
        const std::vector<const vitx_image *> handles = handles_of(pictures);
        std::vector<vitx_prediction> top(handles.size() * size_of(k));
        check(vitx_classify_batch(get(), handles.data(), static_cast<int>(handles.size()),
                                  top.data(), k));
        return top;
    }
    std::vector<vitx_prediction> classify(const inputs &in, int k)
    {
        std::vector<vitx_prediction> top(size_of(in.count) * size_of(k));
        check(vitx_classify_inputs(get(), in.data, in.count, in.height, in.width, top.data(), k));
        return top;
    }
    /** The embedding of a picture by a model without classes; `normalize`: its length becomes 1. */
    std::vector<float> embed(const image &picture, bool normalize = false)
    {
        std::vector<float> out(outputs_);
        check(vitx_embed(get(), picture.get(), out.data(), normalize));
        return out;
    }
    /** embed() for several pictures: [pictures, numbers of one embedding]. */
    std::vector<float> embed(const std::vector<const image *> &pictures, bool normalize = false)
    {
        const std::vector<const vitx_image *> handles = handles_of(pictures);
        std::vector<float> out(handles.size() * outputs_);
        check(vitx_embed_batch(get(), handles.data(), static_cast<int>(handles.size()), out.data(),
                               normalize));
        return out;
    }
    std::vector<float> embed(const inputs &in, bool normalize = false)
    {
        std::vector<float> out(size_of(in.count) * outputs_);
        check(vitx_embed_inputs(get(), in.data, in.count, in.height, in.width, out.data(),
                                normalize));
        return out;
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
        return explain(std::vector<const image *>(1, &picture), opts);
    }
    /** All maps of several pictures, [pictures, opts]: the maps of the first picture come first. */
    std::vector<map> explain(const std::vector<const image *> &pictures,
                             const std::vector<vitx_explain_opts> &opts)
    {
        const std::vector<const vitx_image *> handles = handles_of(pictures);
        std::vector<vitx_map *> out(handles.size() * opts.size());
        const int status = vitx_explain_many(out.data(), get(), handles.data(),
                                             static_cast<int>(handles.size()), opts.data(),
                                             static_cast<int>(opts.size()));
        return take(out, status);
    }
    std::vector<map> explain(const inputs &in, const std::vector<vitx_explain_opts> &opts)
    {
        std::vector<vitx_map *> out(size_of(in.count) * opts.size());
        const int status =
            vitx_explain_inputs(out.data(), get(), in.data, in.count, in.height, in.width,
                                opts.data(), static_cast<int>(opts.size()));
        return take(out, status);
    }
    /** explain(), averaged over each picture and its mirror image: [pictures, opts]. */
    std::vector<map> explain_flip(const std::vector<const image *> &pictures,
                                  const std::vector<vitx_explain_opts> &opts)
    {
        const std::vector<const vitx_image *> handles = handles_of(pictures);
        std::vector<vitx_map *> out(handles.size() * opts.size());
        const int status = vitx_explain_flip(out.data(), get(), handles.data(),
                                             static_cast<int>(handles.size()), opts.data(),
                                             static_cast<int>(opts.size()));
        return take(out, status);
    }
    /** Memory that explain() with these options needs in addition. */
    std::size_t explain_bytes(const std::vector<vitx_explain_opts> &opts)
    {
        std::size_t bytes;
        check(vitx_explain_bytes(&bytes, get(), opts.data(), static_cast<int>(opts.size())));
        return bytes;
    }
    /** About how many forward passes it takes to explain one picture. */
    std::int64_t explain_forwards(const std::vector<vitx_explain_opts> &opts)
    {
        std::int64_t forwards;
        check(vitx_explain_forwards(&forwards, get(), opts.data(), static_cast<int>(opts.size())));
        return forwards;
    }
    /** Measures a map of `picture`. */
    evaluation evaluate(const image &picture, const map &one, const vitx_evaluate_opts &opts)
    {
        vitx_evaluation *out;
        check(vitx_evaluate(&out, get(), picture.get(), one.get(), &opts));
        return evaluation(out);
    }
    /** Several metrics of one map, which share the picture's own forward pass. */
    std::vector<evaluation> evaluate(const image &picture, const map &one,
                                     const std::vector<vitx_evaluate_opts> &opts)
    {
        std::vector<vitx_evaluation *> out(opts.size());
        const int status = vitx_evaluate_many(out.data(), get(), picture.get(), one.get(),
                                              opts.data(), static_cast<int>(opts.size()));
        return take_all<evaluation>(out, status);
    }
    /** Throws what is wrong with options. Nothing runs. */
    void evaluate_check(const std::vector<vitx_evaluate_opts> &opts)
    {
        check(vitx_evaluate_check(get(), opts.data(), static_cast<int>(opts.size())));
    }
    /** About how many forward passes it takes to measure one map. */
    std::int64_t evaluate_forwards(const std::vector<vitx_evaluate_opts> &opts)
    {
        std::int64_t forwards;
        check(vitx_evaluate_forwards(&forwards, get(), opts.data(), static_cast<int>(opts.size())));
        return forwards;
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
    /**
     * Runs the model and keeps logits for logits() and, after set_trace(), attention for
     * attention().
     */
    void forward(const image &picture)
    {
        const vitx_image *handle = picture.get();
        check(vitx_forward(get(), &handle, 1));
    }
    /** Starts to time each operation, with counts from 0; or stops, and the counts stay. */
    void set_profile(bool on)
    {
        check(vitx_context_set_profile(get(), on));
    }

    /**
     * The time of each operation while a profile was on; operations that never ran are included.
     */
    std::vector<vitx_op_time> op_times() const
    {
        std::vector<vitx_op_time> times;
        vitx_op_time one = VITX_OP_TIME_INIT;
        while (vitx_context_get_op_time(&one, get(), static_cast<int>(times.size())) == VITX_OK)
            times.push_back(one);
        return times;
    }

    void forward(const std::vector<const image *> &pictures)
    {
        const std::vector<const vitx_image *> handles = handles_of(pictures);
        check(vitx_forward(get(), handles.data(), static_cast<int>(handles.size())));
    }
    void forward(const inputs &in)
    {
        check(vitx_forward_inputs(get(), in.data, in.count, in.height, in.width));
    }
    /** Grows with every call: a view is valid as long as this number is unchanged. */
    std::uint64_t generation() const noexcept
    {
        return vitx_context_generation(get());
    }
    void set_progress(vitx_progress *progress, void *payload)
    {
        check(vitx_context_set_progress(get(), progress, payload));
    }
    void set_trace(const vitx_trace_opts &opts)
    {
        check(vitx_context_set_trace(get(), &opts));
        targets_ = opts.gradients != 0 && opts.targets > 0 ? size_of(opts.targets) : 0;
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
    /** Of a pooling head: [n, heads, 1, tokens]. */
    vitx_view pool_attention() const
    {
        vitx_view view;
        check(vitx_pool_attention(&view, get()));
        return view;
    }
    /** The normalised input of the last forward(): [n, 3, height, width]. */
    vitx_view input() const
    {
        vitx_view view;
        check(vitx_input(&view, get()));
        return view;
    }
    /** [n, tokens, width] of a block that the trace records. */
    vitx_view tokens(int layer, vitx_tokens_at at) const
    {
        vitx_view view;
        check(vitx_tokens(&view, get(), layer, at));
        return view;
    }
    /** The backward pass of the last forward(): dlogits [n, targets, classes], targets as they were
     *  given to set_trace(). */
    void backward(const std::vector<float> &dlogits)
    {
        const std::size_t pictures = static_cast<std::size_t>(logits().shape[0]);
        if (targets_ == 0 || dlogits.size() != pictures * targets_ * outputs_)
            throw std::invalid_argument("vitx: dlogits are [n, targets, classes]");
        check(vitx_backward(get(), dlogits.data()));
    }
    vitx_view attention_gradient(int layer) const
    {
        vitx_view view;
        check(vitx_attention_gradient(&view, get(), layer));
        return view;
    }
    vitx_view tokens_gradient(int layer, vitx_tokens_at at) const
    {
        vitx_view view;
        check(vitx_tokens_gradient(&view, get(), layer, at));
        return view;
    }
    vitx_view input_gradient() const
    {
        vitx_view view;
        check(vitx_input_gradient(&view, get()));
        return view;
    }
    /** The peak speed of the device; takes up to a second. */
    peak measure_peak()
    {
        peak out;
        check(vitx_context_measure_peak(get(), &out.flops, &out.bytes));
        return out;
    }
    vitx_context *get() const noexcept
    {
        return handle_.get();
    }

  private:
    static std::size_t size_of(int count)
    {
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    static std::vector<const vitx_image *> handles_of(const std::vector<const image *> &pictures)
    {
        std::vector<const vitx_image *> handles;
        handles.reserve(pictures.size());
        for (const image *one : pictures)
            handles.push_back(one ? one->get() : nullptr);
        return handles;
    }
    /** What was finished must be freed after a failure, too. */
    template <class owner, class handle>
    static std::vector<owner> take_all(const std::vector<handle *> &out, int status)
    {
        std::vector<owner> all;
        all.reserve(out.size());
        for (handle *one : out)
            all.emplace_back(one);
        check(status);
        return all;
    }
    static std::vector<map> take(const std::vector<vitx_map *> &out, int status)
    {
        return take_all<map>(out, status);
    }
    std::unique_ptr<vitx_context, release> handle_;
    std::size_t outputs_;     /* numbers of one answer */
    std::size_t targets_ = 0; /* of a backward pass */
};

/** The components of the patch tokens of several pictures, for the method features:
 *  vitx_basis_create(). Give get() to vitx_explain_opts.basis; it must live until the map is made.
 */
class basis
{
  public:
    explicit basis(const context &runs, int layer = VITX_AUTO, int components = 3)
    {
        vitx_basis *handle;
        check(vitx_basis_create(&handle, runs.get(), layer, components));
        handle_.reset(handle);
    }
    void add(context &runs, const std::vector<const image *> &pictures)
    {
        std::vector<const vitx_image *> handles;
        handles.reserve(pictures.size());
        for (const image *one : pictures)
            handles.push_back(one ? one->get() : nullptr);
        check(
            vitx_basis_add(get(), runs.get(), handles.data(), static_cast<int>(handles.size())));
    }
    void add(context &runs, const image &picture)
    {
        add(runs, std::vector<const image *>(1, &picture));
    }
    /** No pictures can be added afterwards. */
    void finish()
    {
        check(vitx_basis_finish(get()));
    }
    vitx_basis *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_basis, release> handle_;
};

/** Curves in a png or npy: vitx_plot(). */
inline void plot(const std::vector<vitx_curve> &curves, const std::string &path,
                 const vitx_plot_opts *opts = nullptr)
{
    check(vitx_plot(curves.data(), static_cast<int>(curves.size()), path.c_str(), opts));
}
/** plot() into memory; opts.format is required. */
inline std::string plot(const std::vector<vitx_curve> &curves, const vitx_plot_opts &opts)
{
    collected out;
    const int status = vitx_plot_write(curves.data(), static_cast<int>(curves.size()),
                                       collected::append, &out, &opts);
    return out.take(status);
}

/** Vectors [n, count] as a .npy file: vitx_vectors_save(). values has n * count numbers. */
inline void save_vectors(const std::vector<float> &values, int n, const std::string &path)
{
    const int count = n > 0 ? static_cast<int>(values.size()) / n : 0;
    check(vitx_vectors_save(values.data(), n, count, path.c_str()));
}
/** save_vectors() into memory. */
inline std::string write_vectors(const std::vector<float> &values, int n)
{
    collected out;
    const int count = n > 0 ? static_cast<int>(values.size()) / n : 0;
    const int status = vitx_vectors_write(values.data(), n, count, collected::append, &out);
    return out.take(status);
}
/** `count` numbers of a .npy file: vitx_vector_load(). */
inline std::vector<float> load_vector(const std::string &path, int count)
{
    std::vector<float> out(count > 0 ? static_cast<std::size_t>(count) : 0);
    check(vitx_vector_load(out.data(), count, path.c_str()));
    return out;
}

/** Attention statistics over many pictures: vitx/measure.h. The context must live until the last
 *  add(). */
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
    /** render() into memory; opts.format is required. */
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

/** One page about pictures, in one file: vitx/report.h. The model must live until it is freed. */
class report
{
  public:
    explicit report(const model &answers, const vitx_report_opts *opts = nullptr)
    {
        vitx_report *handle;
        check(vitx_report_create(&handle, answers.get(), opts));
        handle_.reset(handle);
    }
    /** Begins a picture; what follows is about that picture. */
    void add(const image &picture, const std::string &name)
    {
        check(vitx_report_add(get(), picture.get(), name.c_str()));
    }
    void add(const map &one, const char *label = nullptr)
    {
        check(vitx_report_add_map(get(), one.get(), label));
    }
    void add(const std::vector<vitx_prediction> &top)
    {
        check(vitx_report_add_predictions(get(), top.data(), static_cast<int>(top.size())));
    }
    void add(const stats &collection)
    {
        check(vitx_report_add_stats(get(), collection.get()));
    }
    /** The answer of a model without classes. */
    void add(const std::vector<float> &embedding)
    {
        check(vitx_report_add_embedding(get(), embedding.data(),
                                        static_cast<int>(embedding.size())));
    }
    /** @param picture  its place in the view */
    void add_attention(int layer, const vitx_view &attention, int picture = 0)
    {
        check(vitx_report_add_attention(get(), layer, &attention, picture));
    }
    void add_pool_attention(const vitx_view &attention, int picture = 0)
    {
        check(vitx_report_add_pool_attention(get(), &attention, picture));
    }
    /** A class without a map, and the command that would make one. */
    void add_absent(int target, const char *label = nullptr, const char *command = nullptr)
    {
        check(vitx_report_add_absent(get(), target, label, command));
    }
    /** What the picture was run with, if not by run(): before its maps and its attention. */
    void set_input(const vitx_context_info &info)
    {
        check(vitx_report_set_input(get(), &info));
    }
    /** Those of the picture that was added last, best first; index -1 beyond those there are. */
    std::vector<vitx_prediction> predictions(int k = 5)
    {
        std::vector<vitx_prediction> top(k > 0 ? static_cast<std::size_t>(k) : 0);
        check(vitx_report_get_predictions(top.data(), k, get()));
        return top;
    }
    /** The picture that was added last: predictions, attention, statistics. */
    void run(context &runs, const image &picture)
    {
        check(vitx_report_run(get(), runs.get(), picture.get()));
    }
    vitx_report_info info()
    {
        vitx_report_info info;
        vitx_report_info_init(&info, sizeof info);
        check(vitx_report_get_info(&info, get()));
        return info;
    }
    void save(const std::string &path)
    {
        check(vitx_report_save(get(), path.c_str()));
    }
    /** save() into memory. */
    std::string write()
    {
        collected out;
        const int status = vitx_report_write(get(), collected::append, &out);
        return out.take(status);
    }
    vitx_report *get() const noexcept
    {
        return handle_.get();
    }

  private:
    std::unique_ptr<vitx_report, release> handle_;
};

} // namespace vitx

#endif
