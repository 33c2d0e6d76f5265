// The names of the parts of a split GGUF file.

/// The name of a part: `PREFIX-00002-of-00003.gguf`.
///
/// Source: llama.cpp, `llama_split_path`.
struct SplitName: Equatable {
    /// The name without number and ending, with its folder.
    let prefix: String
    /// Which part it is, from 0.
    let index: Int
    /// The number of parts.
    let count: Int

    init(prefix: String, index: Int, count: Int) {
        self.prefix = prefix
        self.index = index
        self.count = count
    }

    /// The parts of `path`; `nil` if it is not the name of a part.
    init?(_ path: String) {
        guard let match = path.wholeMatch(of: /(.*[^\/])-([0-9]{5})-of-([0-9]{5})\.gguf/),
            let number = Int(match.2), let count = Int(match.3), (1...max(1, count)).contains(number)
        else { return nil }
        self.init(prefix: String(match.1), index: number - 1, count: count)
    }

    /// The path of part `index`, from 0.
    func path(ofPart index: Int) -> String {
        func digits(_ number: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, 5 - text.count)) + text
        }
        return "\(prefix)-\(digits(index + 1))-of-\(digits(count)).gguf"
    }
}
