// The keys of a model's configuration, by one set of names whatever the container, with a record of which were read.

/// Reads the configuration of one model. Names are those of GGUF without the architecture: `attention.head_count`.
final class ModelKeys {
    /// Where the configuration comes from.
    enum Container {
        /// The metadata of a GGUF file.
        case gguf
        /// The `config.json` of a Hugging Face folder.
        case huggingFace
    }

    let path: String
    let container: Container
    /// The family's name, as GGUF's `general.architecture`.
    let architecture: String
    private let values: [String: MetadataValue]
    private let spelling: (String) -> String
    private let weights: ModelWeights
    private var read: Set<String> = []

    /// - Parameters:
    ///   - architecture: the family's name.
    ///   - values: all that the configuration says of the computation, by name.
    ///   - spelling: a name as it stands in the file, for messages.
    init(
        path: String, container: Container, architecture: String, values: [String: MetadataValue],
        weights: ModelWeights,
        spelling: @escaping (String) -> String
    ) {
        self.path = path
        self.container = container
        self.architecture = architecture
        self.values = values
        self.weights = weights
        self.spelling = spelling
    }

    /// The raw value at `name`.
    subscript(name: String) -> MetadataValue? {
        read.insert(name)
        return values[name]
    }

    /// The names that nobody has read, sorted.
    var unread: [String] { values.keys.filter { !read.contains($0) }.sorted() }

    /// Whether the value at `name` says that something is absent: no, zero, or nothing.
    func isNeutral(_ name: String) -> Bool {
        switch values[name] {
        case .bool(let flag)?: !flag
        case .integer(let number)?: number == 0
        case .float(let number)?: number == 0
        case .string(let bytes)?: bytes.isEmpty
        case .integers(let numbers)?: numbers.allSatisfy { $0 == 0 }
        case .floats(let numbers)?: numbers.allSatisfy { $0 == 0 }
        case .strings(let strings)?: strings.isEmpty
        case nil: true
        }
    }

    /// `name` as it stands in the file.
    func spelling(of name: String) -> String { spelling(name) }

    /// The number at the first of `names` that has one.
    func number(_ names: String...) throws(ModelFileError) -> Float? {
        var first: Float?
        for name in names {
            switch self[name] {
            case nil: break
            case .float(let number)? where Float(number).isFinite: first = first ?? Float(number)
            case .integer(let number)?: first = first ?? Float(number)
            default: throw missing(name, "a number")
            }
        }
        return first
    }

    /// The number at `name`.
    func requiredNumber(_ name: String) throws(ModelFileError) -> Float {
        guard let number = try number(name) else { throw missing(name, "a number") }
        return number
    }

    /// The whole number at `name`, if there is one.
    func integer(_ name: String) throws(ModelFileError) -> Int? {
        switch self[name] {
        case nil: return nil
        case .integer(let number)?: return Int(number)
        case .float(let number)? where number == number.rounded() && abs(number) < 0x1p53: return Int(number)
        default: throw missing(name, "a whole number")
        }
    }

    /// A size. It must be positive, and small enough that a product of a few sizes cannot overflow.
    func size(_ name: String) throws(ModelFileError) -> Int? {
        guard let number = try integer(name) else { return nil }
        guard (1...1 << 28).contains(number) else { throw unsupported(name, "\(number)") }
        return number
    }

    /// The number of layers, of which each has a tensor at least.
    func layerCount() throws(ModelFileError) -> Int {
        let count = try requiredSize("block_count")
        try weights.checkLayerCount(count, key: spelling("block_count"))
        return count
    }

    /// The size at `name`.
    func requiredSize(_ name: String) throws(ModelFileError) -> Int {
        guard let size = try size(name) else { throw missing(name, "a whole number") }
        return size
    }

    /// A size that is the same for all of `count` layers, given once or for each.
    func layerSize(_ name: String, layers count: Int) throws(ModelFileError) -> Int? {
        guard case .integers(let numbers)? = self[name] else { return try size(name) }
        guard numbers.count == count, let first = numbers.first, numbers.allSatisfy({ $0 == first }) else {
            throw unsupported(name, "different numbers for different layers")
        }
        guard (1...1 << 28).contains(first) else { throw unsupported(name, "\(first)") }
        return Int(first)
    }

    /// The boolean at `name`, if there is one.
    func flag(_ name: String) throws(ModelFileError) -> Bool? {
        switch self[name] {
        case nil: nil
        case .bool(let flag)?: flag
        default: throw missing(name, "true or false")
        }
    }

    /// The string at `name`, if there is one.
    func string(_ name: String) throws(ModelFileError) -> String? {
        switch self[name] {
        case nil: nil
        case .string(let bytes)?: String(decoding: bytes, as: UTF8.self)
        default: throw missing(name, "a string")
        }
    }

    /// The numbers at `name`, if there are some.
    func numbers(_ name: String) throws(ModelFileError) -> [Float]? {
        switch self[name] {
        case nil: nil
        case .floats(let numbers)?: numbers.map { Float($0) }
        case .integers(let numbers)?: numbers.map { Float($0) }
        default: throw missing(name, "an array of numbers")
        }
    }

    /// The floats of a small tensor, if the model has it: `count` positive numbers.
    func divisors(_ name: String, count: Int) throws(ModelFileError) -> [Float]? {
        guard let tensor = weights[name] else { return nil }
        guard tensor.shape == [count] else {
            throw .wrongShape(path: path, name: tensor.name, expected: [count], found: tensor.shape)
        }
        guard tensor.type == .f32 else {
            throw .unsupported(path: path, what: "tensor \(tensor.name) of type \(tensor.type.name)")
        }
        let numbers = (0..<count).map { tensor.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
        guard numbers.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw .unsupported(
                path: path, what: "tensor \(tensor.name) with a RoPE frequency divisor that is not positive")
        }
        return numbers
    }

    /// The error that the value at `name` is not supported.
    func unsupported(_ name: String, _ value: String) -> ModelFileError {
        .unsupported(path: path, what: "\(spelling(name)) of \(value)")
    }

    /// The error that the value at `name` is absent, of another kind, or impossible.
    func missing(_ name: String, _ expected: String) -> ModelFileError {
        guard let value = values[name] else { return .missingKey(path: path, key: spelling(name), expected: expected) }
        return .wrongValue(path: path, key: spelling(name), found: value.excerpt, expected: expected)
    }
}
