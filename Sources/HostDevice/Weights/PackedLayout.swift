// How much memory a weight matrix takes when it is packed, and which activations its product reads.

import CHostKernels
import ModelFiles

/// The packed form of a weight matrix: it depends only on the element type and the sizes.
struct PackedLayout: Sendable, Equatable {
    /// The packed format; see `hk_matrix`.
    let format: Int32
    /// Scales of a group.
    let parts: Int32
    /// Inputs of the product.
    let inputs: Int
    /// Outputs of the product.
    let outputs: Int
    /// Whether the product takes int8 activations; otherwise it takes floats.
    let takesInt8: Bool

    /// The form of `outputs` rows of `inputs` weights of `type`.
    ///
    /// - Parameter int8: packs for int8 activations if the element type supports them.
    init(_ type: TensorType, inputs: Int, outputs: Int, int8: Bool) {
        var parts: Int32 = 0
        format = hk_packed_format(type.rawValue, int8 ? 1 : 0, &parts)
        self.parts = parts
        self.inputs = inputs
        self.outputs = outputs
        let format = format
        takesInt8 = int8 && [HK_I4, HK_S8, HK_S7, HK_U7, HK_U8].contains { format == Int32($0) }
    }

    /// Panels of output channels.
    var panels: Int { (outputs + Int(HK_PANEL) - 1) / Int(HK_PANEL) }
    /// Bytes of a panel.
    var panelBytes: Int { hk_panel_bytes(format, parts, inputs) }
    /// Bytes of the packed weights.
    var byteCount: Int { panels * panelBytes }
    /// Multiply-adds of a product with one row of activations.
    var multiplyAdds: Int { inputs * outputs }
}
