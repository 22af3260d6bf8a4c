//! Indexes, packages, stages and the database: the good ones, and those that must be refused.

mod indexes;
mod real;
mod stages;
mod support;
mod table;
