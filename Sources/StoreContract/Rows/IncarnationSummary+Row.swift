// A life of a daemon, from the columns that all stores select.

import Runtime

extension IncarnationSummary {
    /// Reads the first eight columns: its number, the process, host, version, model, device, start and end.
    package init(_ row: some StoredRow) {
        self.init(
            id: row.id(0),
            daemon: NewIncarnation(
                pid: Int32(truncatingIfNeeded: row.int64(1)), host: row.text(2), version: row.text(3),
                model: row.text(4), device: row.text(5)),
            started: row.id(6), stopped: row.optionalID(7))
    }
}
