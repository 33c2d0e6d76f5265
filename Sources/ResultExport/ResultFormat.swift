// The formats of results, and the function that writes a line in any of them.

public import OpenAIFormats

/// A format of results.
public enum ResultFormat: String, Sendable, CaseIterable {
    /// OpenAI's batch output objects, one per line.
    case jsonl
    /// RFC 4180 with a header line, for spreadsheets and data frames.
    case csv
    /// For reading: a line `# <custom_id>`, the text, and an empty line. Not meant to be parsed.
    case text

    /// Appends the header, if the format has one.
    public func encodeHeader(into output: inout [UInt8]) {
        if self == .csv { OutputLine.encodeCSVHeader(into: &output) }
    }
}

extension OutputLine {
    /// Appends the line in a format, including its line end.
    public func encode(as format: ResultFormat, into output: inout [UInt8]) {
        switch format {
        case .jsonl: encode(into: &output)
        case .csv: encodeCSV(into: &output)
        case .text: encodeText(into: &output)
        }
    }
}
