/* vitx/context.hpp: a part of vitx/vitx.hpp: what runs a model. */
#ifndef VITX_CONTEXT_HPP
#define VITX_CONTEXT_HPP

#include <vitx/texts.hpp>

namespace vitx
{

/** Runs a model: vitx/context.h. One thread at a time. */
class context : public owned<vitx_context>
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
    /** The k best labels that are texts; entries beyond the labels have index -1. Labels live as
     *  long as the set. */
    std::vector<vitx_prediction> classify(const image &picture, const label_set &labels, int k)
    {
        return classify(std::vector<const image *>(1, &picture), labels, k);
    }
    /** classify() with labels for several pictures: [pictures, k]. */
    std::vector<vitx_prediction> classify(const std::vector<const image *> &pictures,
                                          const label_set &labels, int k)
    {
        const std::vector<const vitx_image *> handles = handles_of(pictures);
        std::vector<vitx_prediction> top(handles.size() * size_of(k));
        check(vitx_classify_texts(get(), handles.data(), static_cast<int>(handles.size()),
                                  labels.get(), top.data(), k));
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
    /** Which words of opts.text match a picture. */
    words explain_words(const image &picture, const texts &tower, const vitx_words_opts &opts)
    {
        vitx_words *out;
        check(vitx_explain_words(&out, tower.get(), get(), picture.get(), &opts));
        return words(out);
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
    std::size_t outputs_;     /* numbers of one answer */
    std::size_t targets_ = 0; /* of a backward pass */
};

} // namespace vitx

#endif
