// The mesh that is configured: a board's name or a grid (TT contract §2.3, MESH_DEVICE).

/// The names of boards and boxes, with their grids.
public enum MeshName: String, Sendable, CaseIterable {
    /// One Wormhole chip.
    case n150 = "N150"
    /// One Blackhole chip with 120 cores.
    case p100 = "P100"
    /// One Blackhole chip with 140 cores.
    case p150 = "P150"
    /// Two Wormhole chips on a board.
    case n300 = "N300"
    /// Two Blackhole chips on a board.
    case p300 = "P300"
    /// Two P150 boards.
    case p150x2 = "P150x2"
    /// Four N150 boards.
    case n150x4 = "N150x4"
    /// Four P150 boards.
    case p150x4 = "P150x4"
    /// Two P300 boards.
    case p300x2 = "P300x2"
    /// Eight Wormhole chips in a box.
    case t3k = "T3K"
    /// Eight P150 boards.
    case p150x8 = "P150x8"
    /// A Galaxy of 32 Wormhole chips.
    case galaxy = "TG"
    /// A Galaxy of 32 Blackhole chips.
    case blackholeGalaxy = "BH-Galaxy"

    /// The grid of the board or box.
    public var shape: MeshShape {
        switch self {
        case .n150, .p100, .p150: MeshShape(rows: 1, columns: 1)
        case .n300, .p300, .p150x2: MeshShape(rows: 1, columns: 2)
        case .n150x4, .p150x4, .p300x2: MeshShape(rows: 1, columns: 4)
        case .t3k, .p150x8: MeshShape(rows: 1, columns: 8)
        case .galaxy, .blackholeGalaxy: MeshShape(rows: 8, columns: 4)
        }
    }
}

/// The configured mesh.
public enum MeshSelection: Sendable, Equatable {
    /// By a board's name.
    case named(MeshName)
    /// By its grid.
    case grid(MeshShape)

    /// The selected grid.
    public var shape: MeshShape {
        switch self {
        case .named(let name): name.shape
        case .grid(let shape): shape
        }
    }

    /// Reads a board's name, a tuple such as `(2, 4)`, or a list of two numbers.
    ///
    /// - Throws: `ConfigurationError.invalidValue` with the known names.
    public init(parsing value: ConfigurationValue) throws(ConfigurationError) {
        switch value {
        case .list(let sides):
            let numbers = sides.compactMap { side in if case .integer(let number) = side { number } else { nil } }
            if numbers.count == sides.count, let shape = Self.shape(numbers) {
                self = .grid(shape)
                return
            }
        case .string(let text):
            if let name = MeshName(rawValue: text) {
                self = .named(name)
                return
            }
            if let shape = Self.shape(literal: text) {
                self = .grid(shape)
                return
            }
        default: break
        }
        let names = MeshName.allCases.map(\.rawValue).joined(separator: ", ")
        throw .invalidValue(
            key: "mesh_device", value: value, expected: "rows and columns such as (2, 4), or one of: \(names)")
    }

    /// The grid to open; without a selection, all available devices in one row.
    ///
    /// - Throws: `ConfigurationError.contradiction` if fewer devices are available.
    public static func resolve(
        _ selection: MeshSelection?, availableDevices: Int
    ) throws(ConfigurationError) -> MeshShape {
        let shape = selection?.shape ?? MeshShape(rows: 1, columns: max(1, availableDevices))
        guard shape.deviceCount <= availableDevices else {
            throw .contradiction(
                "the mesh \(shape) needs \(shape.deviceCount) devices and \(availableDevices) are available",
                remedy: "ask for a smaller mesh_device or leave it out")
        }
        return shape
    }

    private static func shape(literal text: String) -> MeshShape? {
        let trimmed = text.filter { !$0.isWhitespace }
        guard trimmed.hasPrefix("("), trimmed.hasSuffix(")") else { return nil }
        let sides = trimmed.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false)
        let numbers = sides.compactMap { Int($0) }
        return numbers.count == sides.count ? shape(numbers) : nil
    }

    private static func shape(_ sides: [Int]) -> MeshShape? {
        guard sides.count == 2, (1...1024).contains(sides[0]), (1...1024).contains(sides[1]) else { return nil }
        return MeshShape(rows: sides[0], columns: sides[1])
    }
}
