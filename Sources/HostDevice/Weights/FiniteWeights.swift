// Weights that are no numbers are found when a model is loaded.

import CHostKernels
import ModelFiles
import Synchronization

extension MappedTensor {
    /// Reads all weights in parallel, and throws if one is not a finite number.
    ///
    /// - Throws: `ModelFileError.corrupt` with the place of the first one.
    func checkFinite(_ pool: ThreadPool) throws(ModelFileError) {
        // In pieces of whole blocks.
        let piece = 4096 * type.blockBytes
        let first = Atomic(bytes.count)
        pool.forEach((bytes.count + piece - 1) / piece) { _, part in
            let start = part.lowerBound * piece
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start..<min(part.upperBound * piece, bytes.count)])
            let fault = hk_first_fault(type.rawValue, rest.baseAddress!, rest.count)
            if fault < rest.count { first.min(start + fault, ordering: .relaxed) }
        }
        let place = first.load(ordering: .relaxed)
        if place < bytes.count { throw notFinite(at: place) }
    }

    /// The error of a weight, or the scale of a block of weights, that is not a finite number.
    func notFinite(at place: Int) -> ModelFileError {
        .corrupt(path: path, offset: offset + place, reason: "tensor \(name) has values that are not numbers")
    }
}
