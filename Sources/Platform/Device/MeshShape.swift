// The shape of a mesh.

/// The grid of chips of a mesh, rows by columns.
public struct MeshShape: Sendable, Hashable, CustomStringConvertible {
    /// Rows of the grid.
    public let rows: Int
    /// Columns of the grid.
    public let columns: Int

    /// A grid of `rows` × `columns`, both at least 1.
    public init(rows: Int, columns: Int) {
        precondition(rows > 0 && columns > 0)
        self.rows = rows
        self.columns = columns
    }

    /// Number of chips.
    public var deviceCount: Int { rows * columns }

    /// `(rows, columns)`, as the contract's errors print it.
    public var description: String { "(\(rows), \(columns))" }
}
