//! `pinlake generate`: a raw lake or a MySQL dump.

use anyhow::{Context, Result};
use pinlake_emulator::{DumpOptions, LakeOptions, write_lake, write_mysql_dump};

use crate::cli::{GenerateArgs, GenerateFormat};
use crate::terminal::{self, Bar};

/// Runs the command.
pub(crate) async fn run(args: GenerateArgs) -> Result<()> {
    let work = move || -> Result<String> {
        let bar = Bar::counter("generating", Some(args.posts));
        let (shown, posts) = (args.out.display(), terminal::count(args.posts, "post"));
        match args.format {
            GenerateFormat::Lake => {
                let options = LakeOptions {
                    posts: args.posts,
                    seed: args.seed,
                    duplicates: args.duplicates,
                    flush: args.flush,
                    partitions: args.partitions,
                    prefix: args.prefix.clone(),
                    gzip: args.gzip,
                    ..LakeOptions::default()
                };
                write_lake(&args.out, &options, &|done, _| bar.set(done))?;
                Ok(format!("{posts} in {shown}; next: pinlake batch {shown} out"))
            }
            GenerateFormat::Mysql => {
                let options = DumpOptions { rows: args.posts, seed: args.seed };
                write_mysql_dump(&args.out, &options, &|done, _| bar.set(done))?;
                Ok(format!("{posts} in {shown}; next: mariadb < {shown}"))
            }
        }
    };
    terminal::line(tokio::task::spawn_blocking(work).await.context("generating stopped")??);
    Ok(())
}
