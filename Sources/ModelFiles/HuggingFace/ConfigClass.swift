// The configuration classes of transformers: what a `config.json` leaves unsaid, and which keys it has beside the usual.

import JSONText

/// A configuration class of Hugging Face transformers, whose models this program can describe.
struct ConfigClass: Sendable {
    /// Which layers attend to a window, if `layer_types` does not say so.
    enum Windows: Sendable {
        /// None: `sliding_window` has no meaning.
        case none
        /// All, if `sliding_window` is a number.
        case everyLayer
        /// If `use_sliding_window`: those from `max_window_layers` on.
        case fromLayer
        /// If `use_sliding_window`: those without a rotary embedding.
        case whereNotRotated
        /// All but every n-th; n may be at `sliding_window_pattern` if `isGiven`.
        case butEvery(Int, isGiven: Bool)
    }

    /// The rotary embedding.
    struct Rotary: Sendable {
        /// The base, where none is given.
        var theta = 10_000.0
        /// `rope_parameters` are given for each type of layer, and layers with a window have a base of their own at
        /// `rope_local_base_freq`, or this. Their frequencies are not changed.
        var localTheta: Double?
        /// The part of a head that is rotated, where none is given; `nil` if it is always all of it.
        var partial: Double?
        /// `original_max_position_embeddings` stands beside `rope_parameters`, and "su" and "yarn" are names of LongRoPE.
        var isPhi = false
        /// "dynamic" with an `alpha` is a larger base.
        var hasAlpha = false
    }

    /// Its `model_type`.
    let modelType: String
    /// The family of its models, as GGUF's `general.architecture`.
    let family: String
    /// Values of keys that are absent.
    let defaults: [String: JSONValue]
    /// The key of the norms' ε.
    var epsilon = "rms_norm_eps"
    /// The key of the activation function.
    var activation = "hidden_act"
    /// The names of the activation that the family computes.
    var activations: Set<String> = ["silu", "swish"]
    /// Which layers have a window.
    var windows = Windows.none
    /// The rotary embedding.
    var rotary = Rotary()
    /// Numbers that go to keys of the family.
    var numbers: [String: String] = [:]

    /// The class of a `model_type`.
    static func named(_ modelType: String) -> ConfigClass? { all.first { $0.modelType == modelType } }

    /// The type of the text model inside a class for pictures and text, where `text_config` does not tell it.
    static let composites = ["gemma3": "gemma3_text", "mistral3": "mistral"]

    /// The classes for pictures and text whose text models are like the ones without pictures.
    static let compositeClasses = ["Gemma3ForConditionalGeneration", "Mistral3ForConditionalGeneration"]
}
