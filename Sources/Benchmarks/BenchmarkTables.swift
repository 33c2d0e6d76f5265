// The results of the host benchmark as tables.

import HostDevice
import Platform

extension MeasuredTable {
    /// The device's limits.
    static func limits(_ limits: HostLimits) -> MeasuredTable {
        var table = MeasuredTable(
            "limits", "Limits: the products' instructions alone, and reads of memory",
            [
                Column("threads", "threads"), Column("int8_operations_per_second", "int8 Gop/s", .billionsPerSecond),
                Column("float_operations_per_second", "float Gop/s", .billionsPerSecond),
                Column("read_bytes_per_second", "read GB/s", .billionsPerSecond),
            ])
        for rates in limits.allThreads.threads > 1 ? [limits.oneThread, limits.allThreads] : [limits.oneThread] {
            table.add([
                .count(rates.threads), .number(rates.int8OperationsPerSecond), .number(rates.floatOperationsPerSecond),
                .number(rates.readBytesPerSecond),
            ])
        }
        return table
    }

    /// The results of a model's benchmark.
    static func all(_ report: HostBenchmarkReport, model: String, optimizations: String) -> [MeasuredTable] {
        var tables = [
            Self.model(report, name: model, optimizations: optimizations), limits(report.limits),
            prefill(report.prefills), decode(report), threadTime(report.prefills + report.decodes),
        ]
        if !report.scaling.isEmpty { tables.append(scaling(report.scaling)) }
        return tables
    }

    private static func model(
        _ report: HostBenchmarkReport, name: String, optimizations: String
    ) -> MeasuredTable {
        var table = MeasuredTable(
            "model", "Model: what it costs",
            [
                Column("model", "model"), Column("optimizations", "optimizations"), Column("device", "device"),
                Column("load_seconds", "load ms", .seconds),
                Column("token_operations", "Gop/token", .billionsPerSecond),
                Column("weight_bytes", "weights GB", .billionsPerSecond),
                Column("kv_cache_dtype", "kv cache"), Column("position_bytes", "bytes/position"),
            ])
        table.add([
            .text(name), .text(optimizations), .text(report.device), .number(report.loadSeconds),
            .number(Double(report.cost.layers.operations + report.cost.head.operations)),
            .number(Double(report.cost.weightBytes)), .text(report.kvCacheDType.rawValue),
            .count(report.cost.positionBytes),
        ])
        return table
    }

    private static func prefill(_ steps: [StepMeasurement]) -> MeasuredTable {
        var table = MeasuredTable(
            "prefill", "Prefill",
            [
                Column("prompts", "prompts"), Column("prompt_tokens", "of tokens"),
                Column("step_seconds", "ms", .seconds), Column("tokens_per_second", "tok/s", .rate),
            ] + productColumns("products", "products"))
        for step in steps { table.add(cells(step.shape) + rates(step) + cells(step.layers)) }
        return table
    }

    private static func decode(_ report: HostBenchmarkReport) -> MeasuredTable {
        let isCounted = report.decodes.contains { $0.allocations != nil }
        var table = MeasuredTable(
            "decode", "Decode: one token of each row",
            [
                Column("rows", "rows"), Column("context", "context"), Column("step_seconds", "ms/step", .seconds),
                Column("tokens_per_second", "tok/s", .rate),
            ] + productColumns("products", "products") + productColumns("logits", "logits") + [
                Column("read_bytes_per_second", "read GB/s", .billionsPerSecond),
                Column("read_share_of_limit", "of limit", .share),
            ] + (isCounted ? [Column("allocations", "allocations")] : []))
        for step in report.decodes {
            let read = step.readBytesPerSecond!
            table.add(
                cells(step.shape) + rates(step) + cells(step.layers) + cells(step.head)
                    + [.number(read), .number(read / report.limits.allThreads.readBytesPerSecond)]
                    + (isCounted ? [.count(step.allocations ?? 0)] : []))
        }
        return table
    }

    private static func threadTime(_ steps: [StepMeasurement]) -> MeasuredTable {
        var table = MeasuredTable(
            "thread_time", "Where the threads' time goes",
            [Column("step", "step"), Column("rows", "rows"), Column("tokens", "tokens")]
                + KernelKind.allCases.map { Column("\($0)_share", "\($0)", .share) }
                + [Column("outside_share", "outside", .share)])
        for step in steps {
            table.add(
                [.text(step.shape.name)] + cells(step.shape) + KernelKind.allCases.map { .number(step.shares[$0]) }
                    + [.number(step.shares.outside)])
        }
        return table
    }

    private static func scaling(_ steps: [ThreadScaling]) -> MeasuredTable {
        var table = MeasuredTable(
            "scaling", "One thread and all",
            [
                Column("step", "step"), Column("rows", "rows"), Column("tokens", "tokens"),
                Column("one_thread_seconds", "one: ms", .seconds), Column("all_threads_seconds", "all: ms", .seconds),
                Column("factor", "times faster", .precise),
            ])
        for step in steps {
            table.add(
                [.text(step.shape.name)] + cells(step.shape)
                    + [.number(step.oneThreadSeconds), .number(step.allThreadsSeconds), .number(step.factor)])
        }
        return table
    }

    private static func productColumns(_ name: String, _ heading: String) -> [Column] {
        [
            Column("\(name)_operations_per_second", "\(heading) Gop/s", .billionsPerSecond),
            Column("\(name)_share_of_peak", "of peak", .share),
        ]
    }

    private static func cells(_ speed: ProductSpeed) -> [Value] {
        [.number(speed.operationsPerSecond), .number(speed.shareOfPeak)]
    }

    private static func rates(_ step: StepMeasurement) -> [Value] {
        [.number(step.seconds), .number(step.tokensPerSecond)]
    }

    /// The number of prompts and their length, or the number of rows and their context.
    private static func cells(_ shape: StepMeasurement.Shape) -> [Value] {
        switch shape {
        case .prefill(let prompts, let length): [.count(prompts), .count(length)]
        case .decode(let rows, let context): [.count(rows), .count(context)]
        }
    }
}

extension StepMeasurement.Shape {
    fileprivate var name: String {
        switch self {
        case .prefill: "prefill"
        case .decode: "decode"
        }
    }
}
