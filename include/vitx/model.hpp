/* vitx/model.hpp: a part of vitx/vitx.hpp: errors, options, pictures, maps and models. */
#ifndef VITX_MODEL_HPP
#define VITX_MODEL_HPP

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
    void operator()(vitx_texts *handle) const noexcept
    {
        vitx_texts_free(handle);
    }
    void operator()(vitx_label_set *handle) const noexcept
    {
        vitx_label_set_free(handle);
    }
    void operator()(vitx_words *handle) const noexcept
    {
        vitx_words_free(handle);
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

/** What all handles have in common. */
template <class handle> class owned
{
  public:
    handle *get() const noexcept
    {
        return handle_.get();
    }

  protected:
    owned() = default;
    explicit owned(handle *one) noexcept : handle_(one)
    {
    }
    std::unique_ptr<handle, release> handle_;
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
class image : public owned<vitx_image>
{
  public:
    /** Takes over a C handle. */
    explicit image(vitx_image *handle) noexcept : owned(handle)
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
};

class model;

/** A finished map: vitx/explain.h. */
class map : public owned<vitx_map>
{
  public:
    /** Takes over a C handle. */
    explicit map(vitx_map *handle) noexcept : owned(handle)
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
    /**
     * What the model, `of`, answered for the picture, if vitx_explain_opts.answer was set. Labels
     * live as long as the model.
     */
    std::vector<vitx_prediction> predictions(const model &of, int k) const;
    /** The same of a model without classes; `normalize`: its length becomes 1. */
    std::vector<float> embedding(const model &of, bool normalize = false) const;
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
};

/** The result of a metric for a map: vitx/evaluate.h. */
class evaluation : public owned<vitx_evaluation>
{
  public:
    /** Takes over a C handle. */
    explicit evaluation(vitx_evaluation *handle) noexcept : owned(handle)
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
};

/** Weights, architecture, labels: vitx/model.h. */
class model : public owned<vitx_model>
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
};

inline std::vector<vitx_prediction> map::predictions(const model &of, int k) const
{
    std::vector<vitx_prediction> top(k > 0 ? static_cast<std::size_t>(k) : 0);
    check(vitx_map_predictions(top.data(), k, get(), of.get()));
    return top;
}

inline std::vector<float> map::embedding(const model &of, bool normalize) const
{
    std::vector<float> out(static_cast<std::size_t>(of.info().classes));
    check(vitx_map_embedding(out.data(), normalize, get()));
    return out;
}

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

/** The precisions of a device (nullptr: the first of this machine): vitx/context.h. */
inline std::vector<vitx_precision_info> precisions(const char *device = nullptr)
{
    std::vector<vitx_precision_info> list;
    vitx_precision_info info;
    vitx_precision_info_init(&info, sizeof info);
    int status;
    while ((status = vitx_precision_get(&info, device, static_cast<int>(list.size()))) == VITX_OK)
        list.push_back(info);
    if (status != VITX_INVALID)
        check(status);
    return list;
}

/** The plug-in of the device "cuda" from a file: vitx/context.h. */
inline void load_device(const std::string &path)
{
    check(vitx_device_load(path.c_str()));
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

/** Per second: operations of the instructions that multiply, bytes of a copy. */
struct peak {
    double flops, bytes;
};

} // namespace vitx

#endif
